"""What the Alibi bridge registers: explainers, engines of the search, networks of the GAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dice_extended_plugin.hookspecs import hookimpl
from dice_extended_plugin.registry import Component

if TYPE_CHECKING:
    from dice_extended_plugin.registry import Registry


@hookimpl
def dice_extended_register(registry: Registry) -> None:
    """Add the components of the Alibi bridge."""
    for component in (*_EXPLAINERS, *_ENGINES, *_GENERATORS, *_DISCRIMINATORS, _JOB):
        registry.add(component)


_EXPLAINERS = (
    Component(
        "alibi_explainer",
        "plausible_counterfactual",
        "alibi_bridge.plausible:PlausibleCounterfactual",
        extra="alibi",
        summary="Attribute edits of an image that look real and that a classifier misreads",
    ),
    Component(
        "alibi_explainer",
        "counterfactual_gan",
        "alibi_bridge.joint:CounterfactualGAN",
        extra="alibi",
        summary="Classifier, counterfactual generator and uncertainty score, trained together",
    ),
)
_ENGINES = (
    Component(
        "search_engine",
        "smpso",
        "alibi_bridge.smpso:SMPSO",
        summary="Speed-constrained particle swarm with an archive of 100",
    ),
    Component(
        "search_engine", "nsga2", "pymoo.algorithms.moo.nsga2:NSGA2", summary="pymoo's NSGA-II"
    ),
    Component("search_engine", "gde3", "pymoo.algorithms.moo.gde3:GDE3", summary="pymoo's GDE3"),
    Component(
        "search_engine",
        "random",
        "alibi_bridge.engines:RandomSearch",
        summary="Uniform draws, the baseline",
    ),
)
_GAN = "alibi_bridge.counterfactual_gan"
_GENERATORS = tuple(
    Component("gan_generator", name, f"{_GAN}.{target}", extra="images", summary=summary)
    for name, target, summary in (
        ("unet", "generator:UNetGenerator", "Convolutional U-Net"),
        ("swin_unet", "swin:SwinUNetGenerator", "Swin encoder, quantised, convolutional decoder"),
    )
)
_DISCRIMINATORS = tuple(
    Component("gan_discriminator", name, f"{_GAN}.{target}", extra="images", summary=summary)
    for name, target, summary in (
        ("cnn", "discriminator:CNNDiscriminator", "Small convolutional network"),
        ("resnet3", "discriminator:ResNet3Discriminator", "One block in each of two stages"),
        ("resnet18", "discriminator:ResNet18Discriminator", "ResNet-18 with group norm"),
        ("resnet50", "discriminator:ResNet50Discriminator", "ResNet-50 with group norm"),
        ("swin", "swin:SwinDiscriminator", "Swin transformer"),
        ("hybrid", "discriminator:HybridDiscriminator", "ResNet-3 and a small Swin"),
    )
)
_JOB = Component(
    "job_task",
    "audit",
    "alibi_bridge.jobs:AuditTask",
    extra="alibi",
    summary="Which attributes flip a predictor, over many images",
)
