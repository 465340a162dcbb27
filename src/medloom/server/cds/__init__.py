"""CDS Hooks 2.0 (https://cds-hooks.hl7.org/2.0/): advice as cards in the hospital's own record system."""
