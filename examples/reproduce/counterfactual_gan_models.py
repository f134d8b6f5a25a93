"""The networks of the reproduction: trained once, kept in an ignored folder, loaded afterwards."""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from counterfactual_gan_cells import counterfactuals
from counterfactual_gan_data import Part
from torch import nn
from torch.nn import functional

from alibi_bridge.counterfactual_gan.batches import augment
from alibi_bridge.counterfactual_gan.model import JointGAN
from alibi_bridge.counterfactual_gan.names import make_discriminator, make_generator
from alibi_bridge.counterfactual_gan.parts import standardise
from alibi_bridge.counterfactual_gan.results import Saliency
from alibi_bridge.counterfactual_gan.settings import Settings
from alibi_bridge.counterfactual_gan.watch import Look, ModeCollapseWarning
from alibi_bridge.fid import NamedFeatures
from alibi_bridge.formats import ImageFormat
from alibi_bridge.probing import ClassView
from alibi_bridge.saving import load_bundle, load_state, save_bundle, state_of
from alibi_bridge.seeds import seeded
from alibi_bridge.training import epoch_batches, pick_device
from alibi_bridge.twins import train_twin

#: Whose features FID uses: the plain twin of seed 0, whatever the cell's own seed.
FEATURES = "cnn"
#: Name of a training -> its settings.
TRAININGS: dict[str, Callable[..., Settings]] = {
    # The paper's objective alone, with the signs of docs/counterfactual_gan.md.
    "paper": Settings.paper,
    # The defaults (from 64 pixels on `fine`): changes hang together, D also sees noisy images.
    "ours": Settings,
    # The same, and D also sees attacked images.
    "hardened": Settings.hardened,
}

logger = logging.getLogger("counterfactual_gan")


@dataclass(frozen=True, eq=False)
class Trained:
    """A network and what its training took."""

    network: nn.Module
    about: dict[str, Any]


@dataclass(frozen=True, eq=False)
class TrainedPair:
    """G (noise at its mean) and D of one joint training."""

    generator: nn.Module
    discriminator: nn.Module
    about: dict[str, Any]
    model: JointGAN

    def steady_maps(self, X: np.ndarray) -> Saliency:
        """Return the maps of x̂ averaged over the eight flips and turns of the image."""
        images = (X.transpose(0, 2, 3, 1) + 1) / 2
        return self.model.generate(images, cycles=0, views=8).saliency


class Quiet(nn.Module):
    """A generator with z = 0, its most typical counterfactual: nothing is drawn."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return x̂ and the class logits."""
        return self.generator(x, x.new_zeros(len(x), self.generator.noise_dim))


class MaskNetwork(nn.Module):
    """A generator that draws a mask in the place of a change: logits (n, 1, H, W)."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits of crack."""
        z = x.new_zeros(len(x), self.generator.noise_dim)
        return self.generator.body(standardise(x)[0], z)[0].mean(dim=1, keepdim=True)


class Models:
    """Trains, keeps and loads the networks of one call of the script."""

    def __init__(self, data: dict[str, Part], options: argparse.Namespace) -> None:
        self.data, self.options = data, options
        self.device = pick_device(options.device)
        self.size = (options.size, options.size)
        self.folder = options.work / f"{options.data}-{options.size}-{options.steps}"

    # -- the networks -----------------------------------------------------------------------------

    def generator(self, name: str, seed: int) -> nn.Module:
        """Return a new generator."""
        with seeded(seed, "init"):
            return make_generator(name, 3, self.size, self.generator_options(name))

    def discriminator(self, name: str, seed: int, outputs: int = 3) -> nn.Module:
        """Return a new discriminator."""
        with seeded(seed, "init"):
            return make_discriminator(name, 3, self.size, {"outputs": outputs})

    def generator_options(self, name: str) -> dict[str, Any]:
        """Return what the command line says about a generator; colour means nothing in cracks."""
        if name != "unet":
            return {}
        return {
            "grey_changes": True,
            **({"width": self.options.width} if self.options.width else {}),
        }

    # -- trained ----------------------------------------------------------------------------------

    def twin(self, name: str, seed: int) -> Trained:
        """Return a discriminator's or generator's architecture, trained as a plain classifier."""
        from counterfactual_gan_render import GENERATORS

        if name in GENERATORS:
            network: nn.Module = ClassView(Quiet(self.generator(name, seed)))
        else:
            network = self.discriminator(name, seed, outputs=2)

        def train() -> dict[str, Any]:
            train_part, validation = self.data["train"], self.data["validation"]
            made = train_twin(
                *(network, train_part.X, train_part.y, (validation.X, validation.y)),
                steps=self.options.steps,
                batch_size=min(32, len(train_part.X)),
                learning_rate=1e-3,
                augment=as_the_joint_training,
                random_state=seed,
                device=str(self.device),
                verbose=self.options.verbose,
            )
            return {"step": made.step, "validation accuracy": made.accuracy}

        return Trained(network, self.kept(f"twin-{name}-{seed}", {"network": network}, train))

    def ceiling(self, name: str, seed: int) -> Trained:
        """Return a generator's architecture, trained on masks."""
        network = MaskNetwork(self.generator(name, seed))

        def train() -> dict[str, Any]:
            return train_on_masks(network, self.data, self.options.steps, seed, self.device)

        return Trained(network, self.kept(f"ceiling-{name}-{seed}", {"network": network}, train))

    def features(self) -> NamedFeatures:
        """Return the features of FID: what the small CNN's last layer reads."""
        twin = self.twin(FEATURES, 0).network
        shape = self.data["test"].X.shape[1:]
        name = f"small CNN trained alone on {self.options.data} {self.options.size} px"
        return NamedFeatures(twin, name, shape, layer="drop")

    def joint(self, g: str, d: str, cycles: int, training: str, seed: int) -> TrainedPair:
        """Return a generator and a discriminator, trained together."""
        fine = training == "ours" and self.options.size >= 64
        settings = (Settings.fine if fine else TRAININGS[training])(cycles=cycles)
        form = ImageFormat(*self.size, 3)
        model = JointGAN(
            form,
            generator=g,
            discriminator=d,
            generator_options=self.generator_options(g),
            settings=settings,
            device=str(self.device),
            random_state=seed,
        )

        def train() -> dict[str, Any]:
            held = self.data["validation"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ModeCollapseWarning)  # stored with the cell
                model.fit(
                    *as_users(self.data["train"]),
                    validation=as_users(held),
                    steps=self.options.steps,
                    verbose=self.options.verbose,
                )
            # fit has put the chosen networks in the place of the first ones.
            networks.update(generator=model.generator, discriminator=model.discriminator)
            chosen = None if model.chosen is None else model.chosen.to_dict()
            return {
                "step": 0 if chosen is None else chosen["step"],
                "validation": chosen,
                "collapsed": None if model.collapse is None else model.collapse.text,
                "settings": settings.to_dict(),
            }

        networks = {"generator": model.generator, "discriminator": model.discriminator}
        about = self.kept(f"joint-{g}-{d}-{training}-{cycles}-{seed}", networks, train)
        if about["validation"]:  # taken up from its folder, the model has not seen it
            model.chosen = Look(**about["validation"])
        return TrainedPair(Quiet(networks["generator"]), networks["discriminator"], about, model)

    def counterfactuals(self, generator: nn.Module, X: np.ndarray, seed: int) -> np.ndarray:
        """Return x̂ of images."""
        return counterfactuals(generator, X, seed)

    def kept(
        self, name: str, networks: dict[str, nn.Module], train: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """Load the networks' weights, or train and keep them; returns what the training took."""
        place = self.folder / name
        for network in networks.values():
            network.to(self.device)
        if place.exists():
            about, tensors = load_bundle(place, "reproduction")
            for key, network in networks.items():
                load_state(network, tensors, f"{key}:")
        else:
            begin, wall = time.process_time(), time.perf_counter()
            about = train()
            about |= {
                "cpu_seconds": round(time.process_time() - begin, 1),
                "seconds": round(time.perf_counter() - wall, 1),
                "parameters": {
                    key: sum(weight.numel() for weight in network.parameters())
                    for key, network in networks.items()
                },
            }
            tensors = {}
            for key, network in networks.items():
                tensors |= state_of(network, f"{key}:")
            save_bundle(place, "reproduction", about, tensors)
            logger.info("%s: trained in %.0f CPU-s", name, about["cpu_seconds"])
        for network in networks.values():
            network.eval()
        return about


def as_users(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """Return images as a user has them, channels last in [0, 1], and labels."""
    return (part.X.transpose(0, 2, 3, 1) + 1) / 2, part.y


def as_the_joint_training(x: torch.Tensor) -> torch.Tensor:
    """Return changed copies as D of the joint training sees them: augmented, with its noise."""
    x = augment(x, "full")
    return x + 0.1 * standardise(x)[2] * torch.randn_like(x)


def train_on_masks(
    network: nn.Module, data: dict[str, Part], steps: int, seed: int, device: torch.device
) -> dict[str, Any]:
    """Train on masks: cross-entropy of pixels plus Dice loss; keep the best on validation."""
    part, held = data["train"], data["validation"]
    X = torch.from_numpy(part.X).to(device)
    masks = torch.from_numpy(part.masks.astype(np.float32))[:, None].to(device)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-4)
    check, best, kept = max(1, min(100, steps // 5)), -1.0, 0
    state = {key: value.clone() for key, value in network.state_dict().items()}
    size = min(32, len(X))
    for step, rows in epoch_batches(len(X), size, seed):
        network.train()
        with seeded(seed, "ceiling", step):
            picked = torch.from_numpy(rows).to(device)
            x, truth = turned(X[picked], masks[picked])
            x = (x * (0.9 + 0.2 * torch.rand(len(x), 1, 1, 1, device=device))).clamp(-1, 1)
            logits = network(x)
        shares = logits.sigmoid()
        overlap = 2 * (shares * truth).sum() / (shares.sum() + truth.sum() + 1)
        loss = functional.binary_cross_entropy_with_logits(logits, truth) + 1 - overlap
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if (step + 1) % check == 0 or step + 1 == steps:
            iou = mask_iou(network, held)
            if iou > best:
                best, kept = iou, step + 1
                state = {key: value.clone() for key, value in network.state_dict().items()}
        if step + 1 >= steps:
            break
    network.load_state_dict(state)
    return {"step": kept, "validation IoU": best}


def turned(x: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip and turn images and their masks together, each pair in its own way."""
    draws = torch.rand(len(x), 3, device=x.device)
    both = torch.cat([x, masks], dim=1)
    for place, change in enumerate((lambda t: t.flip(3), lambda t: t.flip(2), _transposed)):
        chosen = (draws[:, place] < 0.5)[:, None, None, None]
        both = torch.where(chosen, change(both), both)
    return both[:, :-1].contiguous(), both[:, -1:].contiguous()


def _transposed(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(2, 3)


def mask_iou(network: nn.Module, part: Part) -> float:
    """Return the IoU of a mask network's own decisions on cracked images."""
    from counterfactual_gan_cells import mask_logits

    rows = part.cracked()
    called, truth = mask_logits(network, part.X[rows]) > 0, part.masks[rows]
    return float((called & truth).sum() / max((called | truth).sum(), 1))
