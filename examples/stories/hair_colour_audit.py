# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # An auditor finds hair-colour bias in a face classifier
#
# A classifier is said to read the jaw, square or round. Does it? Or does it lean on the hair,
# because in its training data few people with a square jaw had light hair?
#
# The faces are drawn by this package, so that the truth is known: in the biased set 45 % of the
# round jaws have light hair and 5 % of the square ones. A twin of the classifier is trained on
# the same faces with 25 % in both classes. An audit that is worth its name tells the two apart,
# from their answers only.

# %%
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from alibi_bridge import AttGAN, TargetClassifier, audit_result, compare_audits, procedural_faces
from alibi_bridge.faces import FACE_ATTRIBUTES
from alibi_bridge.pictures import plot_strip
from alibi_bridge.search import search

FACES = 1200  # to train on; 8,000 in earnest
STEPS = 600  # of the AttGAN, a minute on one core; 3,000 in earnest
AUDITED = 32  # faces; 100 in earnest
BUDGET = 400  # questions to the classifier for each face; 2,000 in earnest
SIZE = 32  # pixels
OUT = Path("story_output")  # pictures
OUT.mkdir(exist_ok=True)

# %% [markdown]
# ## The classifier under suspicion, and its twin

# %%
biased = procedural_faces(FACES, SIZE, biased=True, random_state=0)
fair = procedural_faces(FACES, SIZE, biased=False, random_state=1)
test = procedural_faces(400, SIZE, biased=False, random_state=2)
predictors = {
    "suspect": TargetClassifier(device="cpu").fit(biased.images, biased.labels),
    "twin": TargetClassifier(device="cpu").fit(fair.images, fair.labels),
}

light = test.attributes[:, list(FACE_ATTRIBUTES).index("light_hair")] == 1
right = {}
for name, predictor in predictors.items():
    right[name] = (predictor.predict(test.images) > 0.5) == test.labels
    print(
        f"{name:8} right: {right[name].mean():.2f} of all, "
        f"{right[name][light].mean():.2f} with light hair, "
        f"{right[name][~light].mean():.2f} with dark hair"
    )

# %% [markdown]
# Accuracy by group needs labels, and says nothing about a single face. The audit asks another
# question: which change that a person would believe makes the classifier change its mind?
#
# ## A network that edits faces
#
# An AttGAN learns to change hair, glasses, mouth and the rest. It reports which attributes it has
# not learnt ("dead"): about those the audit can say nothing.

# %%
editor = AttGAN.small(FACE_ATTRIBUTES, SIZE, device="cpu", random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the dead attributes are printed below
    editor.fit(
        biased.images,
        biased.attributes,
        validation=(test.images[:100], test.attributes[:100]),
        steps=STEPS,
    )
print("attributes that it cannot edit yet:", ", ".join(editor.dead_) or "none")

# %% [markdown]
# ## The audit
#
# Faces that both classifiers read right are edited until each of them changes its mind; of all
# edits that do, the nearest counts.

# %%
rows = np.flatnonzero(right["suspect"] & right["twin"])[:AUDITED]
found = {
    name: search(
        test.images[rows],
        predictor,
        editor,
        Y=test.labels[rows],
        attributes=test.attributes[rows],
        budget=BUDGET,
        allow_dead=True,  # they stay in the table, with what little they do
        keep="front",
        random_state=0,
    )
    for name, predictor in predictors.items()
}
audits = {name: audit_result(result, points="nearest") for name, result in found.items()}
for name, audit in audits.items():
    print(f"\n{name}: {audit.counts}; moves most: {audit.strongest}")
    columns = ["mean_abs_delta", "low", "high", "needed", "first"]
    print(audit.to_frame()[columns].round(3).to_string())

# %% [markdown]
# `mean_abs_delta` is how far the attribute moves (0 to 1) in the edits that change the answer,
# with a 95 % interval over faces; `needed` is the share of edits that fail when this attribute is
# put back; `first` is how often it would come first if other faces had been drawn.
#
# ## Suspect against twin, on the same faces
#
# `first` is the suspect, `second` the twin; "less" or "more" says that the interval of the
# difference leaves out 0.

# %%
try:
    comparison = compare_audits(audits["suspect"], audits["twin"])
    print(comparison.to_frame().round(3).to_string())
except ValueError as error:  # too few faces with an edit under both
    print(error)

# %%
ax = None
for name, audit in audits.items():
    ax = audit.plot(ax=ax, label=name)
ax.figure.savefig(OUT / "hair_audit.png", dpi=110, bbox_inches="tight")

# %% [markdown]
# And one face: its edits, from the one that changes the answer least to the one that changes it
# most; the one that the search takes is framed.

# %%
edited = np.flatnonzero(found["suspect"].success)
if len(edited):
    plot_strip(found["suspect"].fronts[edited[0]], test.images[rows[edited[0]]], editor.format)
    plt.savefig(OUT / "hair_strip.png", dpi=110, bbox_inches="tight")
print("written to", OUT)

# %% [markdown]
# ## How to read it, honestly
#
# - With the small values at the top, light hair moves most for the suspect, in most but not all
#   resamplings, and another attribute for the twin. That finds the bias that was put in.
# - The fair question is the difference between the two on the same faces. Its interval is wide for
#   the dozen or so faces that have an edit under both, and another editor (another seed) may leave
#   0 inside: a finding to follow up, not yet a verdict. The run that the documentation quotes has
#   the values in the comments (docs/plausible_counterfactuals.md): there light hair comes first for
#   the suspect in every bootstrap sample, and long hair for the twin.
# - The twin leans on hair a little as well, as any classifier of small blurred images does, and an
#   attribute that the editor draws badly looks harmless.
# - An audit finds what the editor can draw. It proves no absence of bias.
