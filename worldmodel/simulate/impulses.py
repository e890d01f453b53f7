"""How a speed that is read corrects speeds that are not: as an impulse does, through contacts and couplings.

A wheel that is read too slow says that the vehicle is too slow, for it rolls. With speeds as uncertain as equal energy
would make them, and contacts and equalities as constraints on them, this is the gain of a Kalman filter. Without any,
nothing but what is read is corrected.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from worldmodel.simulate.world import World

_SOFT = 1e-3  # how far constraints give, for those that say the same twice
_NOTHING = 1e-12  # against division by nothing


class Impulses:
    """Corrects speeds of states of a world."""

    def __init__(self, world: World) -> None:
        self.world, self._data = world, world.mj.MjData(world.model)

    def correct(
        self, models: Sequence[Any], states: np.ndarray, dofs: np.ndarray, missed: np.ndarray, gains: np.ndarray
    ) -> np.ndarray:
        """States [R, Q] with corrected speeds.

        Args:
            models: each state's.
            states: [R, Q].
            dofs: int [K] whose speeds are read.
            missed: [R, K] what was read less what the state says; 0 where nothing was.
            gains: [R, K] how much of it is believed, 0 to 1.
        """
        spread = 1 / np.stack([model.dof_M0 for model in models])  # [R, V]
        each = [self._constraints(model, state) for model, state in zip(models, states, strict=True)]
        rows = np.zeros((len(each), max(len(x) for x in each), spread.shape[1]))  # [R, C, V]
        for padded, given in zip(rows, each, strict=True):
            padded[: len(given)] = given
        through = rows * spread[:, None]
        inner = through @ rows.transpose(0, 2, 1)
        give = _SOFT * np.trace(inner, axis1=1, axis2=2) / np.maximum([len(x) for x in each], 1) + _NOTHING
        inner += give[:, None, None] * np.eye(inner.shape[1])
        read = through[..., dofs]  # [R, C, K]
        reach = np.linalg.solve(inner, read)
        free = spread[:, dofs]
        covariance = free[:, None] * np.eye(len(dofs)) - read.transpose(0, 2, 1) @ reach
        sure = np.diagonal(covariance, axis1=1, axis2=2)
        noise = sure * (1 - gains) / np.maximum(gains, _NOTHING)
        push = np.linalg.solve(covariance + noise[:, None] * np.eye(len(dofs)), missed[..., None])
        step = -(through.transpose(0, 2, 1) @ (reach @ push))[..., 0]
        step[:, dofs] += free * push[..., 0]
        out, places = states.copy(), models[0].nq
        out[:, places : places + step.shape[1]] += step
        return out

    def _constraints(self, model: Any, state: np.ndarray) -> np.ndarray:
        """[C, V] the rows of contacts and equalities on speeds."""
        mj, data = self.world.mj, self._data
        data.qpos[:] = state[: model.nq]  # contacts do not depend on the rest
        mj.mj_fwdPosition(model, data)
        jacobian = np.zeros((data.nefc, model.nv))
        if mj.mj_isSparse(model) and data.nefc:
            mj.mju_sparse2dense(jacobian, data.efc_J, data.efc_J_rownnz, data.efc_J_rowadr, data.efc_J_colind)
        else:
            jacobian[:] = data.efc_J.reshape(jacobian.shape)
        kinds = mj.mjtConstraint
        counted = (data.efc_type == int(kinds.mjCNSTR_EQUALITY)) | (
            data.efc_type >= int(kinds.mjCNSTR_CONTACT_FRICTIONLESS)
        )
        return jacobian[counted]
