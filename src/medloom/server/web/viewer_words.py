"""What the viewer's script says, in the reader's language."""

from __future__ import annotations

from medloom.foundation.messages import tr


def viewer_words() -> dict[str, str]:
    """Give the texts of the viewer's script, by their names there."""
    return {
        "loading": tr("Loading …"),
        "loading_part": tr("Loading: {percent} %"),
        "stop": tr("Stop loading"),
        "stopped": tr("Stopped: {percent} % is there"),
        "go_on": tr("Load the rest"),
        "failed": tr(
            "The image could not be loaded. Load the page again; if it stays so, tell your administrator."
        ),
        "slice": tr("slice {n} of {all}"),
        "axial": tr("axial"),
        "coronal": tr("coronal"),
        "sagittal": tr("sagittal"),
        "plane": tr("plane {n}"),
        "value": tr("value {value}"),
        "window": tr("window {centre} ± {half}"),
        "zoom": tr("zoom {n} %"),
        "length": tr("{n} mm"),
        "length_pixels": tr("{n} pixels"),
        "ruler": tr("Ruler {n}"),
        "remove": tr("Remove"),
        "no_lesions": tr("Nothing is marked."),
        "volume": tr("{n} ml"),
        "area": tr("{n} mm²"),
        "voxels": tr("{n} pixels"),
        "axes": tr("{long} × {short} mm"),
        "about_axes": tr("about {long} × {short} mm"),
        "score": tr("score {n}"),
        "approximate": tr("Marks are approximate ellipses around what was found, not outlines."),
        "left": tr("left"),
        "right": tr("right"),
        "measuring": tr("Measuring …"),
        "saving": tr("Saving …"),
        "unsaved": tr("Not saved yet"),
        "prior": tr("Earlier: {time}"),
        "current": tr("This image"),
        "asking": tr("The model is looking at the image …"),
        "by_model": tr("by {model}"),
        "no_map": tr("This model does not tell where its answer comes from."),
        "outlined": tr("The model's outline is shown; it counts only once somebody saves it."),
        "where_from": tr("Where the answer comes from"),
        "ramp_nothing": tr("nothing"),
        "ramp_most": tr("speaks for it most"),
        "where_unsure": tr("Where the model is unsure"),
        "ramp_sure": tr("sure"),
        "ramp_unsure": tr("as good as guessed"),
        "sizes_before": tr(
            "{title}: sizes before it was drawn upon; they are measured anew when it is saved."
        ),
        "undone": tr("Undone"),
        "stage": tr("Image: {said}. Keys are listed below."),
    }
