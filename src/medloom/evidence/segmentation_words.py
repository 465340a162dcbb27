"""The names of metrics of outlines, and plain sentences, in both languages."""

from medloom.foundation.messages import Text2, text2


def metric_name(name: str) -> Text2:
    """Name a metric for a person: `dice`, `liver.dice`; an unknown name stays as it is.

    >>> metric_name("liver.hd95").en
    'liver: Hausdorff distance, 95th percentile, mm'
    """
    structure, _, own = name.rpartition(".")
    names = {
        "dice": text2("Dice"),
        "iou": text2("intersection over union"),
        "hd95": text2("Hausdorff distance, 95th percentile, mm"),
        "assd": text2("mean distance of borders, mm"),
        "surface_dice": text2("surface Dice within 1 mm"),
        "volume_error": text2("volume, said − true, mm³"),
        "lesion_sensitivity": text2("pieces found"),
        "false_positives": text2("pieces said where there is none, an image"),
        "absent": text2("rightly said to be absent"),
    }
    said = names.get(own, Text2(own, own))
    return Text2(f"{structure}: {said.en}", f"{structure}：{said.zh}") if structure else said


def metric_meaning(name: str) -> Text2 | None:
    """Say in one line what a metric means and what would be ideal."""
    meanings = {
        "dice": text2("overlap of both outlines; 1 is ideal, 0 none"),
        "iou": text2("what both outlines share, of what either covers; 1 is ideal"),
        "hd95": text2("of 100 places of a border, 95 are nearer to the other border; 0 is ideal"),
        "assd": text2("how far borders lie from each other on average; 0 is ideal"),
        "surface_dice": text2("share of both borders that lies within 1 mm of the other; 1 is ideal"),
        "volume_error": text2("0 is ideal; above 0 too much is outlined, below 0 too little"),
        "lesion_sensitivity": text2(
            "share of all pieces that overlap with one the model outlines; 1 is ideal"
        ),
        "false_positives": text2("0 is ideal"),
        "absent": text2("share of images without the structure in which none is outlined; 1 is ideal"),
    }
    return meanings.get(name.rpartition(".")[2])
