"""An opacity on a chest X-ray, from a folder of pictures: a network that knows photographs learns the rest."""

import medloom as ml
from medloom.record.imaging.phantom import write_chests

# folders `ill` and `well`; these chests are drawn. With your own, leave this line out.
folder = write_chests("pictures", n=120)
site = ml.Site.create("clinic")
site.record.add(ml.importers.images(folder, patient="(patient[0-9]+)", modality="DX", date="2024-05-01"))
(site.directory.tasks / "opacity.yaml").write_text("""\
name: opacity
kind: binary
title: {en: An opacity on the chest picture, zh: 胸部图像上有阴影}
prediction_time: {event: [IMAGE//DX], which: every}
predict: {of: image, event: [FINDING//ill]}
""")
model = ml.train(site.task("opacity"), "efficientnet", size=64, epochs=3, batch=16, ranges=False)
print(ml.evaluate(model))
ill = model.samples.in_split("held_out").at(0)
print(model.explain(ill).top(int(ill.sample_ids[0]), 3)["input", "contribution"])
