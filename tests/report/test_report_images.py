"""Images in a report: what the results say, as pictures that any browser reads."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import image_cases
import numpy as np
import pytest
from image_cases import NAMES, explanation, image_audit, scores, search

from alibi_bridge.search_result import SearchResult
from dice_extended_plugin.audit_report import AuditReport, ImageAudit
from dice_extended_plugin.audit_report.images import image_section
from dice_extended_plugin.audit_report.png import as_bytes, data_uri, overlay, reduced
from dice_extended_plugin.errors import InvalidInputError


def opened(uri):
    from PIL import Image

    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_reads_back(channels):
    pytest.importorskip("PIL")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype(np.uint8)
    np.testing.assert_array_equal(opened(data_uri(pixels)), pixels.squeeze())
    assert data_uri(pixels) == data_uri(pixels)


def test_ranges_and_layouts():
    image = np.linspace(-1, 1, 48).reshape(3, 4, 4)
    pixels = as_bytes(image, (-1, 1), channels_last=False)
    assert pixels.shape == (4, 4, 3) and pixels.min() == 0 and pixels.max() == 255
    np.testing.assert_array_equal(as_bytes(np.full((2, 2), 9.0), (0, 1)), 255)
    with pytest.raises(InvalidInputError, match="one channel or three"):
        as_bytes(np.zeros((4, 4, 2)), (0, 1))


def test_an_overlay_is_clear_where_nothing_is():
    picture = overlay(np.array([[0.0, 1.0], [0.25, np.nan]]))
    assert picture[0, 0, 3] == 0 == picture[1, 1, 3]
    assert picture[0, 1, 3] > picture[1, 0, 3] > 0
    # Darker where stronger, for readers who see no colour.
    assert picture[0, 1, :3].sum() < picture[1, 0, :3].sum()


def test_what_is_shown_is_what_was_found():
    content = AuditReport(images=image_audit()).content
    section = content["images"][0]
    first = section["audits"][0]
    assert (first["images"], first["counterfactuals"]) == (6, 5)
    assert first["counts"] == {"ok": 5, "none": 1}
    assert first["attributes"][0]["attribute"] == "light <i>"
    assert [front["image"] for front in section["fronts"]] == [1, 3, 4, 5]
    found = search()
    for front in section["fronts"]:
        points = front["points"]
        assert [p["chosen"] for p in points] == [i == 4 for i in range(6)]
        assert [p["success"] for p in points] == [i > 2 for i in range(6)]
        own = found.fronts[front["image"] - 1]
        assert [p["f_att"] for p in points] == pytest.approx(own.F[:, 2])
        assert points[4]["moved"][0] == {"attribute": "light <i>", "change": 0.8}
        assert all(points[row]["picture"] for row in front["strip"])
    assert [one["to"] for one in section["saliency"]] == ["glad"] * 3


def test_the_words_about_images():
    content = AuditReport(images=[image_audit()]).content
    texts = {p["title"]: p for p in content["verdict"]["points"]}
    leans = texts["Faces: What does first lean on?"]["text"]
    assert "Of 6 images 5 have an edit" in leans and "light <i> moves most" in leans
    assert "100 % of the edits fail without it" in leans
    assert (
        "no attribute's interval leaves out 0"
        in texts["Faces: Do first and second differ?"]["text"]
    )
    assert texts["Faces: Do the maps beat a blur?"]["level"] == "good"
    assert (
        "“GAN” overlaps the marked regions by 0.5"
        in texts["Faces: Do the maps beat a blur?"]["text"]
    )
    assert content["verdict"]["headline"].startswith("first changes its answer with light <i>")
    assert any("no proof that the classifier ignores it" in t for t in content["verdict"]["limits"])


def test_a_map_that_does_not_beat_a_blur_is_told():
    table = scores()
    table.rows["GAN"].update(IoU=0.31, IoU_low=0.2, IoU_high=0.4)
    points = AuditReport(images=ImageAudit(saliency=table)).content["verdict"]["points"]
    assert points[0]["level"] == "poor" and "not clearly better" in points[0]["text"]


def test_images_alone_make_a_page():
    pytest.importorskip("jinja2")
    html = AuditReport(images=image_audit(), title="Faces").to_html()
    assert "light &lt;i&gt;" in html and "light <i>" not in html
    assert html.count('class="overlay"') == 3
    assert 'id="recourse"' not in html


def test_without_pictures_points_are_left():
    found = search()
    for one in found.fronts:
        object.__setattr__(one, "images", None)
    section = AuditReport(images=ImageAudit(search=found)).content["images"][0]
    assert section["fronts"][0]["strip"] == []
    assert not any(p["picture"] for p in section["fronts"][0]["points"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"X": np.zeros((2, 8, 8, 3))}, "X has 2 images, the search 6"),
        ({"value_range": (1, 1)}, "value_range"),
        ({"n_shown": 0}, "n_shown"),
    ],
)
def test_what_does_not_fit(changes, told):
    with pytest.raises(InvalidInputError, match=told):
        image_audit(**changes)


def test_an_explanation_without_images():
    bare = explanation()
    bare["orig"]["X"] = None
    with pytest.raises(InvalidInputError, match="return_images=True"):
        AuditReport(images=ImageAudit(explanation=bare)).run()
    with pytest.raises(InvalidInputError, match=r"CounterfactualGAN\.explain"):
        AuditReport(images=ImageAudit(explanation={"a": 1})).run()


@pytest.mark.parametrize("side", [16, 224])
def test_large_pictures_are_made_small_enough(side):
    """Noise, which no PNG packs: photographs weigh less."""
    rng = np.random.default_rng(0)
    points = image_cases.front(0)
    rows = np.resize(np.arange(6), 40)
    many = replace(
        points,
        **{name: getattr(points, name)[rows] for name in ("delta", "F", "proba")},
        images=rng.random((40, side, side, 3), dtype=np.float32),
    )
    found = SearchResult([many] * 4, NAMES, {})
    X = rng.random((4, side, side, 3), dtype=np.float32)
    section = image_section(image_audit(search=found, X=X))
    assert len(str(section)) < 4_000_000
    width = int.from_bytes(base64.b64decode(section["fronts"][0]["original"][22:])[16:20], "big")
    assert width == 16 if side == 16 else 64 <= width < 112


def test_a_picture_made_smaller_has_the_means():
    pixels = np.arange(30, dtype=np.uint8).reshape(5, 6, 1)
    small = reduced(pixels, 3)
    assert small.shape == (3, 3, 1) and small.dtype == np.uint8
    assert small[0, 0, 0] == round((0 + 1 + 6 + 7) / 4)
    assert small[2, 2, 0] == round((28 + 29) / 2)  # the last row is repeated
    assert reduced(pixels, 6) is pixels
    assert reduced(np.ones((4, 4)), 2).tolist() == [[1.0, 1.0], [1.0, 1.0]]
