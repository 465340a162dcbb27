"""The code systems of the world: FHIR URIs and OIDs, and the vocabulary_id OMOP gives each.

Sources: HL7 Terminology (https://terminology.hl7.org, external code systems),
the OMOP VOCABULARY table, MIMIC-IV on FHIR (Bennett et al., doi 10.13026/c2f9-3y63).
"""

from __future__ import annotations

from functools import cache

_ADDRESSES: dict[str, str] = {  # vocabulary_id: URIs and OIDs, without version
    "LOINC": "http://loinc.org 2.16.840.1.113883.6.1",
    "SNOMED": "http://snomed.info/sct 2.16.840.1.113883.6.96",
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm 2.16.840.1.113883.6.88",
    "ICD10CM": (
        "http://hl7.org/fhir/sid/icd-10-cm 2.16.840.1.113883.6.90 "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd10"
    ),
    "ICD10": "http://hl7.org/fhir/sid/icd-10 2.16.840.1.113883.6.3",
    "ICD10CN": "http://hl7.org/fhir/sid/icd-10-cn",
    "ICD10GM": "http://fhir.de/CodeSystem/bfarm/icd-10-gm http://fhir.de/CodeSystem/dimdi/icd-10-gm",
    "ICD9CM": (
        "http://hl7.org/fhir/sid/icd-9-cm 2.16.840.1.113883.6.103 2.16.840.1.113883.6.2 "
        "http://terminology.hl7.org/CodeSystem/icd9cm "
        "http://terminology.hl7.org/CodeSystem/ICD-9CM-diagnosiscodes "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-diagnosis-icd9"
    ),
    "ICD9Proc": (
        "2.16.840.1.113883.6.104 http://terminology.hl7.org/CodeSystem/ICD-9CM-procedurecodes "
        "http://hl7.org/fhir/sid/icd-9-cm/procedure http://hl7.org/fhir/sid/icd-9-cm-procedure "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-procedure-icd9"
    ),
    "ICD10PCS": (
        "http://www.cms.gov/Medicare/Coding/ICD10 http://hl7.org/fhir/sid/icd-10-pcs 2.16.840.1.113883.6.4 "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-procedure-icd10"
    ),
    "ICD11": "http://id.who.int/icd/release/11/mms http://id.who.int/icd11/mms",
    "ICDO3": "http://terminology.hl7.org/CodeSystem/icd-o-3 2.16.840.1.113883.6.43.1",
    "CPT4": "http://www.ama-assn.org/go/cpt 2.16.840.1.113883.6.12",
    "HCPCS": (
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets 2.16.840.1.113883.6.14 "
        "http://terminology.hl7.org/CodeSystem/HCPCS "
        "http://terminology.hl7.org/CodeSystem/HCPCS-all-codes 2.16.840.1.113883.6.285 "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-hcpcs-cd"
    ),
    "NDC": (
        "http://hl7.org/fhir/sid/ndc 2.16.840.1.113883.6.69 "
        "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-medication-ndc"
    ),
    "CVX": "http://hl7.org/fhir/sid/cvx 2.16.840.1.113883.12.292",
    "ATC": "http://www.whocc.no/atc 2.16.840.1.113883.6.73",
    "HPO": "http://human-phenotype-ontology.org http://purl.obolibrary.org/obo/hp.owl http://purl.obolibrary.org/obo/hp.fhir",
    "Orphanet": "http://www.orpha.net",
    "OMIM": "http://www.omim.org 2.16.840.1.113883.6.174",
    "MONDO": "http://purl.obolibrary.org/obo/mondo.owl",
    "HGNC": "http://www.genenames.org http://www.genenames.org/geneId 2.16.840.1.113883.6.281",
    "UCUM": "http://unitsofmeasure.org 2.16.840.1.113883.6.8",
    "UNII": "http://fdasis.nlm.nih.gov 2.16.840.1.113883.4.9",
    "NDFRT": "http://hl7.org/fhir/ndfrt 2.16.840.1.113883.3.26.1.5",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl 2.16.840.1.113883.3.26.1.1",
    "MeSH": "http://id.nlm.nih.gov/mesh 2.16.840.1.113883.6.177",
    "DICOM": "http://dicom.nema.org/resources/ontology/DCM 1.2.840.10008.2.16.4",
    "dm+d": "https://dmd.nhs.uk",
    "OPCS4": "https://fhir.hl7.org.uk/Id/opcs-4 https://fhir.nhs.uk/Id/opcs-4",
    "CDT": "http://www.ada.org/cdt http://terminology.hl7.org/CodeSystem/CD2 2.16.840.1.113883.6.13",
    "NUCC": "http://nucc.org/provider-taxonomy 2.16.840.1.113883.6.101",
    "DRG": "http://terminology.hl7.org/CodeSystem/MSDRG https://www.cms.gov/ms-drg",
    "Revenue Code": "https://www.nubc.org/CodeSystem/RevenueCodes",
    "CMS Place of Service": "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",
    "Race": "2.16.840.1.113883.6.238 http://terminology.hl7.org/CodeSystem/v3-Race",
    "Ethnicity": "http://terminology.hl7.org/CodeSystem/v3-Ethnicity",
}

_SPELLED: dict[str, str] = {  # vocabulary_id: further names, in any case, hyphens and spaces left out
    "SNOMED": "snomedct sct snomedctus",
    "RxNorm": "rxcui",
    "ICD10CM": "i10cm",
    "ICD9CM": "i9cm",
    "ICD9Proc": "icd9pcs icd9cmproc icd9cmprocedure icd9procedure",
    "ICD10": "icd10who",
    "CPT4": "cpt",
    "HPO": "hp humanphenotypeontology",
    "ICD11": "icd11mms",
    "DICOM": "dcm",
    "NCIt": "ncit",
}

_OMOP_ONLY = """
RxNorm Extension|OMOP Extension|OMOP Genomic|Visit|Condition Type|Drug Type|HemOnc|VANDF|SPL|Read|ICD9ProcCN
Nebraska Lexicon|EphMRA ATC|JMDC|Multum|Cost|Payer|UK Biobank|Cancer Modifier|PPI|KCD7|KDC|EDI|GGR|AMT|Cohort
LPD_Australia
"""  # vocabularies without an address of their own; their spelling is kept


@cache
def by_address() -> dict[str, str]:
    """Map each known URI (lower case, without scheme) and OID to its vocabulary_id.

    >>> by_address()["loinc.org"], by_address()["2.16.840.1.113883.6.96"]
    ('LOINC', 'SNOMED')
    """
    return {bare(address): name for name, listed in _ADDRESSES.items() for address in listed.split()}


def address(vocabulary_id: str) -> str | None:
    """Give the URI under which FHIR knows a vocabulary; None: it has none.

    >>> address("LOINC"), address("ICD9Proc"), address("HemOnc")
    ('http://loinc.org', 'urn:oid:2.16.840.1.113883.6.104', None)
    """
    listed = _ADDRESSES.get(vocabulary_id)
    if listed is None:
        return None
    first = listed.split()[0]
    return f"urn:oid:{first}" if first[0].isdigit() else first


@cache
def by_name() -> dict[str, str]:
    """Map each known name (see `squeezed`) to its vocabulary_id.

    >>> by_name()[squeezed("ICD-10-CM")], by_name()[squeezed("rxnorm extension")]
    ('ICD10CM', 'RxNorm Extension')
    """
    names = {
        squeezed(name): name for name in (*_ADDRESSES, *_OMOP_ONLY.strip().replace("\n", "|").split("|"))
    }
    return names | {squeezed(word): name for name, listed in _SPELLED.items() for word in listed.split()}


def bare(address: str) -> str:
    """Leave out of a URI what two sites write differently: scheme, version, case, final slash.

    >>> bare("HTTPS://loinc.org/|2.77"), bare("urn:oid:2.16.840.1.113883.6.96")
    ('loinc.org', '2.16.840.1.113883.6.96')
    """
    text = address.strip().partition("|")[0].lower()
    for scheme in ("http://", "https://", "urn:oid:"):
        text = text.removeprefix(scheme)
    return text.removeprefix("www.").rstrip("/")


def squeezed(name: str) -> str:
    """Fold a vocabulary's name so that ICD-10-CM, icd10cm and ICD 10 CM are one.

    >>> squeezed("ICD-10-CM")
    'icd10cm'
    """
    return "".join(letter for letter in name.casefold() if letter not in "-_ ")
