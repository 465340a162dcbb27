"""Outline a structure and measure it: a U-Net that configures itself, then lengths and areas as RECIST takes them."""

from dataclasses import replace

import medloom as ml
from medloom.features.images import image_of
from medloom.features.lesions import lesions
from medloom.record.imaging.phantom import write_chests

folder = write_chests(
    "pictures", n=80, side=64, outlines=True
)  # with outlines of what is ill; these chests are drawn
site = ml.Site.create("clinic")
site.record.add(ml.importers.images(
    folder, patient="(patient[0-9]+)", modality="DX", date="2024-05-01", outlines="outlines", structure="opacity",
))  # fmt: skip
(site.directory.tasks / "outline.yaml").write_text("""\
name: outline
kind: segmentation
title: {en: Where the opacity is, zh: 阴影的位置}
prediction_time: {event: [IMAGE//DX], which: every}
predict: {of: image, outline: [OUTLINE//opacity], structures: [opacity]}
""")
model = ml.train(site.task("outline"), "unet", epochs=12, ranges=False)
for place, patient in enumerate(model.samples.in_split("held_out").subject_ids[:4]):
    image = image_of(model.samples.in_split("held_out"), place)
    measured = lesions(model.model.outline(image).labels, replace(image, spacing=(2.5, 2.5)))  # mm a pixel
    sizes = [(one.long_axis, one.short_axis) for one in measured.lesions]
    print(patient, [f"{long.length:.0f} x {short.length:.0f} mm" for long, short in sizes if long and short])
