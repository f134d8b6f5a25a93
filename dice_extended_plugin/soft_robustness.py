"""R, the differentiable robustness of a counterfactual (torch)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dice_extended_plugin.dice_sorensen import N_BINS
from dice_extended_plugin.noise import NoiseBank, NoiseModel
from dice_extended_plugin.soft_codes import soft_code_distance
from dice_extended_plugin.space import FeatureSpace

__all__ = ["Robustness"]

#: Mode "validity" has no coefficient that keeps rows near the query. Its gate is half probability,
#: half label (log-odds times 4), because noise validity counts labels, and the term is weighed up
#: by a factor that makes noise validity at equal `robustness_weight` about that of mode "dice", at
#: a smaller distance. Chosen on Adult, COMPAS and German; docs/dice_extended.md has the figures.
_SHARPNESS, _GAIN = 4.0, 1.7


class Robustness:
    """The differentiable robustness R of a counterfactual (methods page, definition (b)).

    ``R(c) = mean over draws of D(c, T c)^alpha * P(wanted class | T c)``. D is the soft
    Dice-Sorensen coefficient with the literal value and the soft gradient (straight-through), T c
    a legal, clipped, disturbed copy of c. alpha = 1 is mode "dice", alpha = 0 mode "validity".

    Parameters
    ----------
    space : FeatureSpace
    noise : NoiseModel
    bank : NoiseBank
        The M draws used throughout.
    mode : {"dice", "validity"}
    like : Tensor
        Gives device and dtype.
    n_bins : int, default 10
    """

    def __init__(
        self,
        space: FeatureSpace,
        noise: NoiseModel,
        bank: NoiseBank,
        mode: str,
        like: Tensor,
        n_bins: int = N_BINS,
    ) -> None:
        def tensor(array: np.ndarray) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(array), device=like.device).to(
                torch.long if array.dtype.kind == "i" else like.dtype
            )

        self.mode, self.scope = mode, noise.scope
        self.gain = _GAIN if mode == "validity" else 1.0
        self.n_draws, self.n_bins = len(bank.noise), n_bins
        self.n_continuous, self.n_features = space.n_continuous, space.n_features
        self.noise = tensor(bank.noise)
        self.scales, self.relative = tensor(noise.scales(space)), tensor(noise.is_relative(space))
        self.offset = tensor(space.low / space.scale)
        self.centres = tensor((np.arange(n_bins) + 0.5) / n_bins)
        self._prepare_flips(space, bank, tensor)

    def _prepare_flips(
        self, space: FeatureSpace, bank: NoiseBank, tensor: Callable[[np.ndarray], Tensor]
    ) -> None:
        """List the (draw, feature) pairs that redraw a level: few, so only they are computed."""
        several = space.permitted_blocks.sum(axis=1) > 1
        draw, feature = np.nonzero(bank.flip & several)
        self.flip_draw, self.flip_feature = tensor(draw), tensor(feature)
        self.flip_pick = tensor(bank.pick[draw, feature])
        self.blocks = tensor(space.blocks)
        self.padding = self.blocks < 0
        self.block_permitted = torch.as_tensor(space.permitted_blocks, device=self.padding.device)
        pair, place = np.nonzero(space.blocks[feature] >= 0)
        self.write_pair, self.write_place = tensor(pair), tensor(place)
        self.write_draw = tensor(draw[pair])
        self.write_column = tensor(space.blocks[feature][pair, place])

    def _sigma(self, u: Tensor) -> Tensor:
        share = (self.offset + u).abs()
        return self.scales * (1.0 + self.relative * (share - 1.0))

    def _moving(self, u: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """Soft scope: how far noise reaches each value. A feature left alone is not disturbed."""
        if self.scope == "all":
            return torch.ones_like(u)
        temperature = sigma.detach().clamp_min(1e-3)
        moved = torch.sigmoid(((u - x).abs() - 3.0 * sigma.detach()) / temperature)
        return moved if self.scope == "changed" else 1.0 - moved

    def disturb(self, u: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the disturbed copies and the coefficient's loss by flipped levels.

        Parameters
        ----------
        u : Tensor of shape (Q, k, d)
        x : Tensor of shape (Q, d)

        Returns
        -------
        disturbed : Tensor of shape (Q, k, M, d)
        flipped : Tensor of shape (Q, k, M)
            Number of features redrawn, differentiable in whether the feature changed.
        """
        n, own = self.n_continuous, x.unsqueeze(1)
        value = u[..., :n]
        sigma = self._sigma(value)
        reach = self._moving(value, own[..., :n], sigma) * sigma
        low = torch.minimum(value.detach(), own[..., :n]).clamp_max(0.0)
        high = torch.maximum(value.detach(), own[..., :n]).clamp_min(1.0)
        moved = value.unsqueeze(2) + reach.unsqueeze(2) * self.noise
        moved = torch.minimum(torch.maximum(moved, low.unsqueeze(2)), high.unsqueeze(2))
        flipped = u.new_zeros(*u.shape[:2], self.n_draws)
        if u.shape[-1] == n:
            return moved, flipped
        hard = self._hard(u)
        rest = hard.unsqueeze(2).expand(-1, -1, self.n_draws, -1)
        if len(self.flip_draw) == 0:
            return torch.cat([moved, rest], -1), flipped
        disturbed = torch.cat([moved, rest], -1)
        return self._flip(disturbed, flipped, torch.cat([value, hard], -1), own)

    def _hard(self, u: Tensor) -> Tensor:
        """One level per block in value, the relaxed columns in gradient (straight-through)."""
        blocks = u.detach()[..., self.blocks.clamp_min(0)]
        choice = blocks.masked_fill(~self.block_permitted, -torch.inf).argmax(-1)
        column = torch.gather(self.blocks, 1, choice.reshape(-1, len(self.blocks)).T).T
        hot = torch.zeros_like(u).scatter_(-1, column.view(choice.shape), 1.0)
        relaxed = u[..., self.n_continuous :]
        return relaxed + (hot[..., self.n_continuous :] - relaxed).detach()

    def _flip(
        self, disturbed: Tensor, flipped: Tensor, hard: Tensor, own: Tensor
    ) -> tuple[Tensor, Tensor]:
        columns = self.blocks[self.flip_feature].clamp_min(0)
        unused = self.padding[self.flip_feature]
        present = hard[..., columns].masked_fill(unused, 0.0)  # (Q, k, P, L)
        before = own[..., columns].masked_fill(unused, 0.0)
        kept = (present * before).sum(-1)  # 1 where the level is the query's
        reach = {"all": torch.ones_like(kept), "changed": 1.0 - kept, "kept": kept}[self.scope]
        level = present.detach().argmax(-1, keepdim=True)
        choices = self.block_permitted[self.flip_feature].expand(present.shape).clone()
        choices.scatter_(-1, level, False)
        rank = torch.floor(self.flip_pick * choices.sum(-1)).unsqueeze(-1)
        new = (choices & (choices.cumsum(-1) - 1 == rank)).to(present.dtype)
        values = present + reach.unsqueeze(-1) * (new - present)
        index = (slice(None), slice(None), self.write_draw, self.write_column)
        disturbed[index] = values[..., self.write_pair, self.write_place]
        return disturbed, flipped.index_add(2, self.flip_draw, reach)

    def coefficient(self, value: Tensor, moved: Tensor, flipped: Tensor) -> Tensor:
        """Straight-through Dice-Sorensen coefficient of rows and disturbed rows, (Q, k, M).

        The value is the literal share of features that keep their code; the gradient is that of
        ``1 - (1/2m) sum |q(c) - q(c')|`` with the soft bin codes q.
        """
        apart = soft_code_distance(value, moved, self.centres)
        smooth = 1.0 - (apart + flipped) / self.n_features
        with torch.no_grad():
            same = self._bin(value).unsqueeze(2) == self._bin(moved)
            lost = (self.n_continuous - same.sum(-1)) + flipped
            literal = 1.0 - lost / self.n_features
        return smooth + (literal - smooth).detach()

    def _bin(self, value: Tensor) -> Tensor:
        return torch.floor(value * self.n_bins).clamp(0, self.n_bins - 1)

    def value(self, u: Tensor, disturbed: Tensor, flipped: Tensor, gate: Tensor) -> Tensor:
        """R of each counterfactual, (Q, k), from the gate P(wanted class) of shape (Q, k, M)."""
        if self.mode == "validity":
            won, lost = gate**_SHARPNESS, (1.0 - gate) ** _SHARPNESS
            return (0.5 * (gate + won / (won + lost))).mean(-1)
        n = self.n_continuous
        agreement = self.coefficient(u[..., :n], disturbed[..., :n], flipped)
        return (agreement * gate).mean(-1)
