"""What is measured of each network: one dictionary of numbers a cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from counterfactual_gan_data import Part
from torch import nn

from alibi_bridge.attacks import attack_curve, masking_report, noise_curve, paper_curve
from alibi_bridge.fid import NamedFeatures, class_fid
from alibi_bridge.gradcam import grad_cam, grad_cam_layers
from alibi_bridge.metrics import label_scores
from alibi_bridge.probing import ClassView, outputs, probabilities, undisturbed
from alibi_bridge.saliency import blurred, compare_saliency, standardised, threshold_curve
from alibi_bridge.seeds import numpy_stream, seeded
from alibi_bridge.uncertainty import fakeness_report, pearson_nll
from dice_extended_plugin.errors import InvalidInputError

if TYPE_CHECKING:
    from counterfactual_gan_models import TrainedPair

#: Shares of the value range: 0.01, 0.03 and 0.06 on [−1, 1].
EPSILONS = (0.005, 0.015, 0.03)
NOISE = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
#: Points of Figure 5: quantiles of the test maps.
QUANTILES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99)


def counterfactuals(generator: nn.Module, X: np.ndarray, seed: int) -> np.ndarray:
    """Return x̂ of images, row by row."""
    made = []
    with undisturbed(generator) as device, torch.no_grad():
        for start in range(0, len(X), 256):
            with seeded(seed, "counterfactuals", start):
                found = generator(torch.from_numpy(X[start : start + 256]).to(device))[0]
            made.append(found.float().clamp(-1, 1).cpu().numpy())
    return np.concatenate(made)


def difference(X: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return |x − x̂| averaged over the channels, (n, H, W)."""
    return np.abs(X - made).mean(axis=1)


def measure_joint(
    pair: TrainedPair,
    parts: dict[str, Part],
    twin: nn.Module,
    features: NamedFeatures,
    seed: int,
    attacked: int,
    queries: int,
) -> dict[str, Any]:
    """Measure G and D of one joint training."""
    generator, discriminator = pair.generator, pair.discriminator
    validation, test = parts["validation"], parts["test"]
    made = counterfactuals(generator, test.X, seed)
    read = outputs(discriminator, made, random_state=seed)
    clean = probabilities(discriminator, test.X, random_state=seed)
    head = probabilities(generator, test.X, random_state=seed)
    rows = validation.cracked()
    for_validation = counterfactuals(generator, validation.X[rows], seed)
    maps = [
        difference(validation.X[rows], for_validation),
        difference(test.X, made)[test.cracked()],
    ]
    steady = [pair.steady_maps(part.X[part.cracked()]) for part in held(parts)]
    found = {
        "D": label_scores(test.y, clean[:, :2].argmax(1)),
        "G": label_scores(test.y, head.argmax(1)),
        "flips": float((read[:, :2].argmax(1) == 1 - test.y).mean()),
        "flips and real": float((read.argmax(1) == 1 - test.y).mean()),
        "L1": float(np.abs(test.X - made).mean()),
        "FID": class_fid(
            *(features, test.X, test.y, made, validation.X, validation.y), random_state=seed
        ),
        "saliency": saliency(
            {
                "|x − x̂|": (maps[0], maps[1]),
                "|x − x̂|, blurred 5x5": (blurred(maps[0]), blurred(maps[1])),
                "|x − x̂|, mean of 8 views": (steady[0].raw, steady[1].raw),
                "taken out, mean of 8 views": (steady[0].removed, steady[1].removed),
            },
            parts,
            seed,
        ),
        "Pearson G": pearson_nll(head, test.y, clean[:, 2]),
    }
    found["figure 5"] = figure5(maps[1], parts)
    chosen = some(test, attacked, seed)
    X, y = test.X[chosen], test.y[chosen]
    found["D curves"] = curves(discriminator, X, y, seed, queries, twin)
    found["G curves"] = curves(generator, X, y, seed, 0, None)
    noisy = noise_curve(discriminator, test.X, test.y, NOISE, random_state=seed)
    pgd = attack_curve(discriminator, X, y, EPSILONS, random_state=seed)
    changed = {f"noise {std:g}": noisy.p_fake[i] for i, std in enumerate(NOISE) if std}
    found["fakeness"] = fakeness_report(clean, test.y, changed)
    attacked_fake = fakeness_report(
        clean[chosen], y, {f"PGD {eps:g}": pgd.p_fake[i] for i, eps in enumerate(EPSILONS)}
    )
    found["fakeness"] |= {key: value for key, value in attacked_fake.items() if "PGD" in key}
    return found


def measure_twin(
    network: nn.Module, parts: dict[str, Part], seed: int, attacked: int, queries: int
) -> dict[str, Any]:
    """Measure a conventionally trained classifier, and Grad-CAM of it where it convolves."""
    test = parts["test"]
    found: dict[str, Any] = {"scores": label_scores(test.y, outputs(network, test.X).argmax(1))}
    chosen = some(test, attacked, seed)
    queries = 0 if isinstance(network, ClassView) else queries  # G is attacked by PGD alone
    found["curves"] = curves(network, test.X[chosen], test.y[chosen], seed, queries, None)
    # The convolution that cuts a Swin's patches is its first layer, and no place for Grad-CAM.
    layers = [name for name in grad_cam_layers(network) if "patch_embeddings" not in name]
    # Of a U-Net the last convolution draws the image; Grad-CAM is for the classifiers.
    if layers and not isinstance(network, ClassView):
        last = cam(network, parts, layers[-1])
        found["saliency"] = saliency({}, parts, seed, last)
        found["figure 5"] = figure5(last[1], parts)
        best = best_layer(network, parts, layers)
        found["saliency best layer"] = {
            "layer": best,
            **saliency({}, parts, seed, cam(network, parts, best))["Grad-CAM"],
        }
    return found


def measure_ceiling(network: nn.Module, parts: dict[str, Part], seed: int) -> dict[str, Any]:
    """Measure a network that was trained on masks: its logits are the map."""
    maps = [mask_logits(network, part.X[part.cracked()]) for part in held(parts)]
    return {
        "saliency": saliency({"supervised": (maps[0], maps[1])}, parts, seed),
        "figure 5": figure5(maps[1], parts),
    }


def mask_logits(network: nn.Module, X: np.ndarray) -> np.ndarray:
    """Return a segmentation network's logits, (n, H, W)."""
    found = []
    with undisturbed(network) as device, torch.no_grad():
        for start in range(0, len(X), 256):
            batch = torch.from_numpy(X[start : start + 256]).to(device)
            found.append(network(batch)[:, 0].float().cpu().numpy())
    return np.concatenate(found)


def held(parts: dict[str, Part]) -> tuple[Part, Part]:
    """Return validation and test."""
    return parts["validation"], parts["test"]


def saliency(
    maps: dict[str, Any], parts: dict[str, Part], seed: int, grad: Any = None
) -> dict[str, Any]:
    """Return the rows of the table with all baselines."""
    validation, test = (part.masked() for part in held(parts))
    return compare_saliency(maps, validation, test, grad, random_state=seed).rows


def figure5(maps: np.ndarray, parts: dict[str, Part]) -> dict[str, list[float]]:
    """Return IoU of test maps at quantiles of their values, as the paper draws it."""
    test = parts["test"].masked()
    cuts = np.quantile(standardised(maps), QUANTILES)
    curve = threshold_curve(maps, test.masks, cuts)
    return {"quantiles": list(QUANTILES), "IoU": curve.iou.tolist()}


def cam(network: nn.Module, parts: dict[str, Part], layer: str) -> tuple[np.ndarray, np.ndarray]:
    """Return Grad-CAM of validation and test images with a crack."""
    validation, test = (grad_cam(network, part.X[part.cracked()], 1, layer) for part in held(parts))
    return validation, test


def best_layer(network: nn.Module, parts: dict[str, Part], layers: list[str]) -> str:
    """Return the layer with the best IoU on validation: more than Grad-CAM's users can do."""
    part = parts["validation"]
    masked, scores = part.masked(), []
    # A ResNet-50 has 53 convolutions; a few at all depths will do.
    layers = [layers[i] for i in sorted({*np.linspace(0, len(layers) - 1, 8).astype(int)})]
    for layer in layers:
        try:
            maps = grad_cam(network, part.X[part.cracked()], 1, layer)
        except InvalidInputError:  # a layer that the class does not depend on
            scores.append(-1.0)
            continue
        scores.append(float(np.nanmax(threshold_curve(maps, masked.masks).iou)))
    return layers[int(np.argmax(scores))]


def curves(
    network: nn.Module,
    X: np.ndarray,
    y: np.ndarray,
    seed: int,
    queries: int,
    source: nn.Module | None,
) -> dict[str, Any]:
    """Return every curve of a network; without `queries` PGD and noise only."""
    pgd = attack_curve(network, X, y, EPSILONS, random_state=seed)
    paper = paper_curve(network, X, y, random_state=seed)
    noisy = noise_curve(network, X, y, NOISE, random_state=seed)
    found = {"pgd": pgd.to_dict(), "paper": paper.to_dict(), "noise": noisy.to_dict()}
    if not queries:
        return found
    others = {
        "autopgd": attack_curve(network, X, y, EPSILONS, "autopgd", random_state=seed),
        "square": attack_curve(
            *(network, X, y, EPSILONS, "square"), queries=queries, random_state=seed
        ),
    }
    if source is not None:
        others["transfer"] = attack_curve(
            *(network, X, y, EPSILONS, "transfer"), source=source, random_state=seed
        )
    found |= {name: curve.to_dict() for name, curve in others.items()}
    found["masking"] = masking_report(pgd, others)
    return found


def some(part: Part, n: int, seed: int) -> np.ndarray:
    """Return at most `n` rows, the same for every network of a seed."""
    if n >= len(part.X):
        return np.arange(len(part.X))
    return np.sort(numpy_stream(seed, "attacked").permutation(len(part.X))[:n])


def plain(value: Any, digits: int = 5) -> Any:
    """Return numbers as JSON can write them: rounded, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): plain(part, digits) for key, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(part, digits) for part in value]
    if isinstance(value, (np.floating, float)):
        return round(float(value), digits) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    return value
