"""The measurements most hospitals share, one row a LOINC code.

Unit, physiological limits, adult reference range, molar mass and short names in
both languages stand in one row, so that they cannot drift apart. The names are
our own, not LOINC's display names. (LOINC codes: copyright Regenstrief
Institute, used under the LOINC licence, https://loinc.org/license.)

Sources, rounded by hand; a laboratory's own ranges come first where it gives them
- limits (values outside cannot be true of a living person, or are beyond what
  the method measures): in the manner of the variable ranges of Harutyunyan et al.,
  Sci Data 2019;6:96, widened where survivors have been reported
- reference ranges of adults: textbook ranges, as in Kratz et al., N Engl J Med
  2004;351:1548-63, and Tietz Textbook of Clinical Chemistry; where the sexes differ
  the row holds the wider range; targets in place of ranges for lipids (NCEP ATP III)
- molar masses: CIAAW standard atomic weights; urea nitrogen counts two nitrogens;
  triglycerides as triolein
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal


@dataclass(frozen=True, slots=True)
class Observable:
    """What is known of one LOINC code.

    `low`..`high` is what is possible, `normal_low`..`normal_high` what is usual in adults,
    all in `unit` (UCUM); `molar_mass` in g/mol, `valence` in equivalents a mole;
    `activity` says that U and [IU] mean the same for this analyte.
    """

    code: str
    en: str
    zh: str
    unit: str
    low: float
    high: float
    normal_low: float | None = None
    normal_high: float | None = None
    molar_mass: float | None = None
    valence: int | None = None
    activity: bool = False


@cache
def observables() -> dict[str, Observable]:
    """Give every known measurement by its bare LOINC code.

    >>> observables()["8480-6"].unit
    'mm[Hg]'
    """
    return {row.code: row for rows in (_vitals(), _chemistry(), _blood(), _others()) for row in rows}


Group = Literal["vitals", "laboratory"]


def group_of(code: str) -> Group | None:
    """Tell what kind of measurement a code is; None if it is not in the table.

    >>> group_of("LOINC//8480-6"), group_of("LOINC//2345-7"), group_of("ICD10CM//I10")
    ('vitals', 'laboratory', None)
    """
    return _groups().get(code.removeprefix("LOINC//"))


def observable(code: str) -> Observable | None:
    """Look up `LOINC//2345-7` (or the bare code); None if it is not in the table.

    >>> observable("LOINC//2345-7").en
    'Glucose'
    >>> observable("SNOMED//271649006") is None
    True
    """
    return observables().get(code.removeprefix("LOINC//"))


@cache
def _groups() -> dict[str, Group]:
    vitals = {row.code for row in _vitals()}
    return {code: "vitals" if code in vitals else "laboratory" for code in observables()}


_GLUCOSE = 180.156
_CREATININE = 113.12
_UREA = 60.056
_UREA_NITROGEN = 28.014
_CHOLESTEROL = 386.65
_TRIOLEIN = 885.43
_BILIRUBIN = 584.66
_CALCIUM = 40.078
_MAGNESIUM = 24.305
_PHOSPHORUS = 30.974
_URATE = 168.11
_LACTATE = 90.08  # as lactic acid, by which laboratories convert
_HAEMOGLOBIN = 16114.5  # the monomer, IFCC
_IRON = 55.845


def _vitals() -> list[Observable]:
    row = Observable
    mm = "mm[Hg]"
    return [
        row("8867-4", "Heart rate", "心率", "/min", 0, 350, 60, 100),
        row("8889-8", "Heart rate (oximeter)", "心率（血氧仪）", "/min", 0, 350, 60, 100),
        row("9279-1", "Respiratory rate", "呼吸频率", "/min", 0, 120, 12, 20),
        row("8310-5", "Temperature", "体温", "Cel", 20, 45, 36.1, 37.2),
        row("8331-1", "Temperature, oral", "口腔温度", "Cel", 20, 45, 36.1, 37.2),
        row("8480-6", "Systolic pressure", "收缩压", mm, 0, 350, 90, 140),
        row("8462-4", "Diastolic pressure", "舒张压", mm, 0, 250, 60, 90),
        row("8478-0", "Mean arterial pressure", "平均动脉压", mm, 0, 300, 70, 105),
        row("76534-7", "Systolic pressure, cuff", "无创收缩压", mm, 0, 350, 90, 140),
        row("76535-4", "Diastolic pressure, cuff", "无创舒张压", mm, 0, 250, 60, 90),
        row("76536-2", "Mean pressure, cuff", "无创平均压", mm, 0, 300, 70, 105),
        row("59408-5", "Oxygen saturation (SpO2)", "血氧饱和度（SpO2）", "%", 0, 100, 95, 100),
        row("2708-6", "Oxygen saturation", "血氧饱和度", "%", 0, 100, 95, 100),
        row("3150-0", "Inspired oxygen (FiO2)", "吸入氧浓度", "%", 15, 100, 21, 21),
        row("19994-3", "Inspired oxygen, ventilator", "呼吸机吸氧浓度", "%", 15, 100),
        row("29463-7", "Weight", "体重", "kg", 0.2, 650),
        row("3141-9", "Weight, measured", "实测体重", "kg", 0.2, 650),
        row("8302-2", "Height", "身高", "cm", 20, 275),
        row("39156-5", "Body mass index", "体重指数", "kg/m2", 5, 250, 18.5, 25),
        row("8287-5", "Head circumference", "头围", "cm", 15, 100),
        row("9269-2", "Glasgow coma score", "格拉斯哥昏迷评分", "{score}", 3, 15, 15, 15),
        row("9267-6", "Glasgow: eyes", "格拉斯哥：睁眼", "{score}", 1, 4, 4, 4),
        row("9268-4", "Glasgow: motor", "格拉斯哥：运动", "{score}", 1, 6, 6, 6),
        row("9270-0", "Glasgow: verbal", "格拉斯哥：言语", "{score}", 1, 5, 5, 5),
        row("72514-3", "Pain (0-10)", "疼痛评分（0-10）", "{score}", 0, 10, 0, 0),
        row("9187-6", "Urine output", "尿量", "mL", 0, 20_000),
        row("10230-1", "Ejection fraction", "左室射血分数", "%", 0, 100, 50, 75),
        row("19926-5", "FEV1/FVC", "一秒率（FEV1/FVC）", "%", 0, 100, 70, 100),
    ]


def _chemistry() -> list[Observable]:
    row = Observable
    mg, mmol, enzyme = "mg/dL", "mmol/L", "U/L"
    return [
        row("2345-7", "Glucose", "葡萄糖", mg, 0, 3000, 70, 140, _GLUCOSE),
        row("2339-0", "Glucose, blood", "血糖", mg, 0, 3000, 70, 140, _GLUCOSE),
        row("41653-7", "Glucose, fingerstick", "指尖血糖", mg, 0, 3000, 70, 140, _GLUCOSE),
        row("1558-6", "Glucose, fasting", "空腹血糖", mg, 0, 3000, 70, 100, _GLUCOSE),
        row("14749-6", "Glucose", "葡萄糖", mmol, 0, 167, 3.9, 7.8, _GLUCOSE),
        row("15074-8", "Glucose, blood", "血糖", mmol, 0, 167, 3.9, 7.8, _GLUCOSE),
        row("2160-0", "Creatinine", "肌酐", mg, 0, 60, 0.6, 1.3, _CREATININE),
        row("38483-4", "Creatinine, blood", "全血肌酐", mg, 0, 60, 0.6, 1.3, _CREATININE),
        row("14682-9", "Creatinine", "肌酐", "umol/L", 0, 5300, 53, 115, _CREATININE),
        row("3094-0", "Urea nitrogen", "尿素氮", mg, 0, 300, 7, 20, _UREA_NITROGEN),
        row("6299-2", "Urea nitrogen, blood", "全血尿素氮", mg, 0, 300, 7, 20, _UREA_NITROGEN),
        row("14937-7", "Urea nitrogen", "尿素氮", mmol, 0, 107, 2.5, 7.1, _UREA_NITROGEN),
        row("22664-7", "Urea", "尿素", mmol, 0, 107, 2.5, 7.1, _UREA),
        row("2951-2", "Sodium", "钠", mmol, 80, 220, 135, 145, 22.990, 1),
        row("2947-0", "Sodium, blood", "全血钠", mmol, 80, 220, 135, 145, 22.990, 1),
        row("2823-3", "Potassium", "钾", mmol, 0.5, 15, 3.5, 5.0, 39.098, 1),
        row("6298-4", "Potassium, blood", "全血钾", mmol, 0.5, 15, 3.5, 5.0, 39.098, 1),
        row("2075-0", "Chloride", "氯", mmol, 40, 180, 98, 107, 35.45, 1),
        row("2069-3", "Chloride, blood", "全血氯", mmol, 40, 180, 98, 107, 35.45, 1),
        row("2028-9", "Carbon dioxide, total", "总二氧化碳", mmol, 1, 80, 22, 30, None, 1),
        row("20565-8", "Carbon dioxide, blood", "全血二氧化碳", mmol, 1, 80, 22, 30, None, 1),
        row("1963-8", "Bicarbonate", "碳酸氢根", mmol, 1, 80, 22, 28, None, 1),
        row("1959-6", "Bicarbonate, blood", "全血碳酸氢根", mmol, 1, 80, 22, 28, None, 1),
        row("1960-4", "Bicarbonate, arterial", "动脉血碳酸氢根", mmol, 1, 80, 22, 28, None, 1),
        row("33037-3", "Anion gap", "阴离子间隙", mmol, -20, 80, 8, 16, None, 1),
        row("17861-6", "Calcium", "钙", mg, 1, 30, 8.5, 10.5, _CALCIUM, 2),
        row("49765-1", "Calcium, blood", "全血钙", mg, 1, 30, 8.5, 10.5, _CALCIUM, 2),
        row("2000-8", "Calcium", "钙", mmol, 0.25, 7.5, 2.1, 2.6, _CALCIUM, 2),
        row("1995-0", "Calcium, ionised", "离子钙", mmol, 0.1, 4, 1.12, 1.32, _CALCIUM, 2),
        row("1994-3", "Calcium, ionised, blood", "全血离子钙", mmol, 0.1, 4, 1.12, 1.32, _CALCIUM, 2),
        row("19123-9", "Magnesium", "镁", mg, 0.2, 25, 1.7, 2.4, _MAGNESIUM, 2),
        row("2601-3", "Magnesium", "镁", mmol, 0.08, 10.3, 0.7, 1.0, _MAGNESIUM, 2),
        row("2777-1", "Phosphate", "磷", mg, 0.1, 45, 2.5, 4.5, _PHOSPHORUS),
        row("14879-1", "Phosphate", "磷", mmol, 0.03, 14.5, 0.8, 1.45, _PHOSPHORUS),
        row("3084-1", "Uric acid", "尿酸", mg, 0, 80, 2.4, 7.2, _URATE),
        row("14933-6", "Uric acid", "尿酸", "umol/L", 0, 4760, 143, 428, _URATE),
        row("2885-2", "Protein, total", "总蛋白", "g/dL", 1, 20, 6.0, 8.3),
        row("1751-7", "Albumin", "白蛋白", "g/dL", 0.3, 8, 3.5, 5.2, 66_437),
        row("10834-0", "Globulin", "球蛋白", "g/dL", 0, 16, 2.0, 3.5),
        row("1975-2", "Bilirubin, total", "总胆红素", mg, 0, 90, 0.2, 1.2, _BILIRUBIN),
        row("42719-5", "Bilirubin, total, blood", "全血总胆红素", mg, 0, 90, 0.2, 1.2, _BILIRUBIN),
        row("1968-7", "Bilirubin, direct", "直接胆红素", mg, 0, 60, 0.0, 0.3, _BILIRUBIN),
        row("1971-1", "Bilirubin, indirect", "间接胆红素", mg, 0, 60, 0.2, 0.9, _BILIRUBIN),
        row("14631-6", "Bilirubin, total", "总胆红素", "umol/L", 0, 1540, 3.4, 20.5, _BILIRUBIN),
        row("1742-6", "ALT", "丙氨酸氨基转移酶（ALT）", enzyme, 0, 40_000, 7, 55, activity=True),
        row("1920-8", "AST", "天冬氨酸氨基转移酶（AST）", enzyme, 0, 40_000, 8, 48, activity=True),
        row("6768-6", "Alkaline phosphatase", "碱性磷酸酶", enzyme, 0, 10_000, 40, 130, activity=True),
        row("2324-2", "Gamma-GT", "γ-谷氨酰转移酶", enzyme, 0, 10_000, 8, 61, activity=True),
        row("2532-0", "LDH", "乳酸脱氢酶", enzyme, 0, 50_000, 120, 250, activity=True),
        row("2157-6", "Creatine kinase", "肌酸激酶", enzyme, 0, 1_000_000, 30, 300, activity=True),
        row("1798-8", "Amylase", "淀粉酶", enzyme, 0, 20_000, 30, 110, activity=True),
        row("3040-3", "Lipase", "脂肪酶", enzyme, 0, 50_000, 10, 140, activity=True),
        row("2093-3", "Cholesterol", "总胆固醇", mg, 10, 2000, None, 200, _CHOLESTEROL),
        row("14647-2", "Cholesterol", "总胆固醇", mmol, 0.25, 52, None, 5.2, _CHOLESTEROL),
        row("2085-9", "HDL cholesterol", "高密度脂蛋白胆固醇", mg, 0, 250, 40, None, _CHOLESTEROL),
        row("14646-4", "HDL cholesterol", "高密度脂蛋白胆固醇", mmol, 0, 6.5, 1.03, None, _CHOLESTEROL),
        row("13457-7", "LDL cholesterol", "低密度脂蛋白胆固醇", mg, 0, 1500, None, 130, _CHOLESTEROL),
        row("18262-6", "LDL cholesterol", "低密度脂蛋白胆固醇", mg, 0, 1500, None, 130, _CHOLESTEROL),
        row("2089-1", "LDL cholesterol", "低密度脂蛋白胆固醇", mg, 0, 1500, None, 130, _CHOLESTEROL),
        row("22748-8", "LDL cholesterol", "低密度脂蛋白胆固醇", mmol, 0, 39, None, 3.4, _CHOLESTEROL),
        row("2571-8", "Triglycerides", "甘油三酯", mg, 0, 20_000, None, 150, _TRIOLEIN),
        row("14927-8", "Triglycerides", "甘油三酯", mmol, 0, 226, None, 1.7, _TRIOLEIN),
        row("2524-7", "Lactate", "乳酸", mmol, 0, 50, 0.5, 2.2, _LACTATE, 1),
        row("32693-4", "Lactate, blood", "全血乳酸", mmol, 0, 50, 0.5, 2.2, _LACTATE, 1),
        row("2518-9", "Lactate, arterial", "动脉血乳酸", mmol, 0, 50, 0.5, 2.0, _LACTATE, 1),
        row("2692-2", "Osmolality", "渗透压", "mosm/kg", 150, 600, 275, 295),
        row("16362-6", "Ammonia", "血氨", "umol/L", 0, 3000, 11, 48, 17.031),
        row("2498-4", "Iron", "铁", "ug/dL", 0, 20_000, 30, 170, _IRON),
        row("2500-7", "Iron binding capacity", "总铁结合力", "ug/dL", 10, 1500, 250, 450, _IRON),
        row("2276-4", "Ferritin", "铁蛋白", "ng/mL", 0, 300_000, 10, 300),
    ]


def _blood() -> list[Observable]:
    row = Observable
    thousand, percent, mm = "10*3/uL", "%", "mm[Hg]"
    return [
        row("718-7", "Haemoglobin", "血红蛋白", "g/dL", 0.5, 27, 12.0, 17.5, _HAEMOGLOBIN),
        row("4544-3", "Haematocrit", "红细胞压积", percent, 2, 85, 36, 51),
        row("20570-8", "Haematocrit", "红细胞压积", percent, 2, 85, 36, 51),
        row("6690-2", "White cells", "白细胞", thousand, 0, 1000, 4.0, 11.0),
        row("26464-8", "White cells", "白细胞", thousand, 0, 1000, 4.0, 11.0),
        row("789-8", "Red cells", "红细胞", "10*6/uL", 0.2, 12, 4.0, 5.9),
        row("26453-1", "Red cells", "红细胞", "10*6/uL", 0.2, 12, 4.0, 5.9),
        row("777-3", "Platelets", "血小板", thousand, 0, 5000, 150, 400),
        row("26515-7", "Platelets", "血小板", thousand, 0, 5000, 150, 400),
        row("787-2", "MCV", "平均红细胞体积", "fL", 30, 180, 80, 100),
        row("30428-7", "MCV", "平均红细胞体积", "fL", 30, 180, 80, 100),
        row("785-6", "MCH", "平均红细胞血红蛋白量", "pg", 8, 60, 27, 33),
        row("786-4", "MCHC", "平均红细胞血红蛋白浓度", "g/dL", 15, 50, 32, 36),
        row("788-0", "Red cell width", "红细胞分布宽度", percent, 5, 50, 11.5, 14.5),
        row("30385-9", "Red cell width", "红细胞分布宽度", percent, 5, 50, 11.5, 14.5),
        row("21000-5", "Red cell width (SD)", "红细胞分布宽度（SD）", "fL", 15, 150, 39, 46),
        row("32623-1", "Platelet volume", "平均血小板体积", "fL", 3, 30, 7.5, 12),
        row("32207-3", "Platelet width", "血小板分布宽度", "fL", 5, 600),
        row("770-8", "Neutrophils", "中性粒细胞百分比", percent, 0, 100, 40, 75),
        row("736-9", "Lymphocytes", "淋巴细胞百分比", percent, 0, 100, 20, 45),
        row("5905-5", "Monocytes", "单核细胞百分比", percent, 0, 100, 2, 10),
        row("713-8", "Eosinophils", "嗜酸性粒细胞百分比", percent, 0, 100, 0, 6),
        row("706-2", "Basophils", "嗜碱性粒细胞百分比", percent, 0, 100, 0, 2),
        row("751-8", "Neutrophil count", "中性粒细胞计数", thousand, 0, 500, 1.8, 7.7),
        row("731-0", "Lymphocyte count", "淋巴细胞计数", thousand, 0, 1000, 1.0, 4.8),
        row("5902-2", "Prothrombin time", "凝血酶原时间", "s", 5, 300, 11, 14),
        row("6301-6", "INR", "国际标准化比值（INR）", "{INR}", 0.3, 30, 0.8, 1.2),
        row("14979-9", "aPTT", "活化部分凝血活酶时间", "s", 10, 400, 25, 37),
        row("3255-7", "Fibrinogen", "纤维蛋白原", "mg/dL", 5, 2500, 200, 400),
        row("48065-7", "D-dimer (FEU)", "D-二聚体（FEU）", "ng/mL", 0, 1_000_000, None, 500),
        row("2744-1", "pH, arterial", "动脉血 pH", "[pH]", 6.3, 8.0, 7.35, 7.45),
        row("2746-6", "pH, venous", "静脉血 pH", "[pH]", 6.3, 8.0, 7.31, 7.41),
        row("11558-4", "pH, blood", "血 pH", "[pH]", 6.3, 8.0, 7.35, 7.45),
        row("2019-8", "pCO2, arterial", "动脉血二氧化碳分压", mm, 3, 250, 35, 45),
        row("11557-6", "pCO2, blood", "血二氧化碳分压", mm, 3, 250, 35, 45),
        row("2703-7", "pO2, arterial", "动脉血氧分压", mm, 5, 760, 75, 105),
        row("11556-8", "pO2, blood", "血氧分压", mm, 5, 760, 75, 105),
        row("1925-7", "Base excess, arterial", "动脉血碱剩余", "mmol/L", -50, 50, -2, 3, None, 1),
        row("11555-0", "Base excess, blood", "血碱剩余", "mmol/L", -50, 50, -2, 3, None, 1),
    ]


def _others() -> list[Observable]:
    row = Observable
    gfr = "mL/min/{1.73_m2}"
    return [
        row("4548-4", "HbA1c", "糖化血红蛋白", "%", 2, 25, 4.0, 5.7),
        row("17856-6", "HbA1c", "糖化血红蛋白", "%", 2, 25, 4.0, 5.7),
        row("59261-8", "HbA1c (IFCC)", "糖化血红蛋白（IFCC）", "mmol/mol", 0, 250, 20, 39),
        row("33914-3", "eGFR (MDRD)", "估算肾小球滤过率（MDRD）", gfr, 0, 250, 60, None),
        row("62238-1", "eGFR (CKD-EPI)", "估算肾小球滤过率（CKD-EPI）", gfr, 0, 250, 60, None),
        row("98979-8", "eGFR (CKD-EPI 2021)", "估算肾小球滤过率（CKD-EPI 2021）", gfr, 0, 250, 60, None),
        row("14959-1", "Urine albumin/creatinine", "尿白蛋白/肌酐", "mg/g", 0, 50_000, None, 30, _CREATININE),
        row("9318-7", "Urine albumin/creatinine", "尿白蛋白/肌酐", "mg/g", 0, 50_000, None, 30, _CREATININE),
        row("1988-5", "C-reactive protein", "C 反应蛋白", "mg/L", 0, 1000, None, 8),
        row("30522-7", "C-reactive protein, high sensitivity", "超敏 C 反应蛋白", "mg/L", 0, 1000, None, 3),
        row("4537-7", "Sedimentation rate", "血沉", "mm/h", 0, 200, 0, 20),
        row("33959-8", "Procalcitonin", "降钙素原", "ng/mL", 0, 2000, None, 0.1),
        row("10839-9", "Troponin I", "肌钙蛋白 I", "ng/mL", 0, 5000, None, 0.04),
        row("6598-7", "Troponin T", "肌钙蛋白 T", "ng/mL", 0, 1000, None, 0.01),
        row("89579-7", "Troponin I, high sensitivity", "超敏肌钙蛋白 I", "ng/L", 0, 5_000_000, None, 34),
        row("67151-1", "Troponin T, high sensitivity", "超敏肌钙蛋白 T", "ng/L", 0, 1_000_000, None, 22),
        row("13969-1", "CK-MB", "肌酸激酶同工酶", "ng/mL", 0, 5000, None, 5),
        row("30934-4", "BNP", "脑钠肽（BNP）", "pg/mL", 0, 50_000, None, 100),
        row("42637-9", "BNP, blood", "全血脑钠肽", "pg/mL", 0, 50_000, None, 100),
        row("33762-6", "NT-proBNP", "N 末端脑钠肽前体", "pg/mL", 0, 500_000, None, 125),
        row("3016-3", "TSH", "促甲状腺激素", "m[IU]/L", 0, 2000, 0.4, 4.5, activity=True),
        row("3024-7", "Free T4", "游离甲状腺素", "ng/dL", 0, 20, 0.8, 1.8, 776.87),
        row("3051-0", "Free T3", "游离三碘甲状腺原氨酸", "pg/mL", 0, 60, 2.0, 4.4, 650.97),
        row("2143-6", "Cortisol", "皮质醇", "ug/dL", 0, 300, 3, 23, 362.46),
        row("62292-8", "Vitamin D (25-OH)", "25-羟维生素 D", "ng/mL", 0, 1000, 20, 100, 400.64),
        row("2132-9", "Vitamin B12", "维生素 B12", "pg/mL", 0, 50_000, 200, 900, 1355.37),
        row("2284-8", "Folate", "叶酸", "ng/mL", 0, 200, 3, 20, 441.4),
        row("2857-1", "PSA", "前列腺特异性抗原", "ng/mL", 0, 50_000, None, 4),
        row("10535-3", "Digoxin", "地高辛", "ng/mL", 0, 100, 0.5, 2.0, 780.94),
        row("5803-2", "Urine pH", "尿 pH", "[pH]", 3, 11, 4.5, 8.0),
        row("5811-5", "Urine specific gravity", "尿比重", "1", 0.99, 1.1, 1.005, 1.03),
    ]
