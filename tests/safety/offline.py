"""Run as a program: import every module of ours, explain and train a little, without a network.

Every try to reach one is an error, and is told. Argument: the parts to run.
"""

from __future__ import annotations

import importlib
import pkgutil
import socket
import sys

TRIED: list[str] = []


class NoNetworkError(OSError):
    pass


def block() -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        TRIED.append(str(arguments[-2:])[:200])
        raise NoNetworkError("the network was tried")

    real = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        if self.family == getattr(socket, "AF_UNIX", None):  # within this machine
            real(self, address)
        else:
            refuse(address)

    socket.socket.connect = connect  # type: ignore[method-assign]
    socket.socket.connect_ex = refuse  # type: ignore[method-assign, assignment]
    socket.socket.sendto = refuse  # type: ignore[method-assign, assignment]
    for name in ("create_connection", "getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        setattr(socket, name, refuse)


def modules() -> None:
    """Import all there is; what needs a host that is not installed says so."""
    count = 0
    for name in ("dice_extended_plugin", "art_bridge", "alibi_bridge"):
        package = importlib.import_module(name)
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if info.name.endswith("__main__"):
                continue
            try:
                importlib.import_module(info.name)
                count += 1
            except ImportError as error:
                assert not isinstance(error.__cause__, NoNetworkError), info.name
    assert count > 100, count


def explain() -> None:
    import dice_ml
    from sklearn.linear_model import LogisticRegression

    from dice_extended_plugin import Dice, load_dataset

    data = load_dataset("breast_cancer")
    model = LogisticRegression(max_iter=5000).fit(data.frame[data.features], data.frame["benign"])
    wrapped = dice_ml.Model(model=model, backend="sklearn")
    explainer = Dice(data.to_dice(), wrapped, method="random")
    found = explainer.generate_counterfactuals(data.frame[data.features][:2], total_CFs=2)
    assert len(found.to_frame())


def fit() -> None:
    from alibi_bridge import CrackImages, ImageFormat, JointGAN, draw_cracks

    drawn: CrackImages = draw_cracks(24, size=32, random_state=0)
    model = JointGAN(ImageFormat(32, 32, 3), device="cpu", random_state=0)
    model.fit(drawn.images, drawn.labels, steps=2)
    assert model.generate(drawn.images[:2]).counterfactual.shape == (2, 32, 32, 3)


def swin() -> None:
    from alibi_bridge.counterfactual_gan.swin import SwinEncoder

    assert len(SwinEncoder(3, (32, 32)).sizes) == 3


def openml() -> None:
    """What does ask for a network: the proof that the block works."""
    from dice_extended_plugin import load_dataset

    try:
        load_dataset("german", source="openml")
    except FileNotFoundError:
        assert TRIED
        TRIED.clear()
        return
    raise AssertionError("the network was reached")


if __name__ == "__main__":
    block()
    for part in sys.argv[1:]:
        globals()[part]()
        assert not TRIED, f"{part} tried the network: {TRIED}"
    print("offline: " + " ".join(sys.argv[1:]))
