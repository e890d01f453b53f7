"""How a speed that is read corrects speeds that are not: as an impulse does, through contacts and couplings.

A wheel that is read too slow says that the vehicle is too slow, for it rolls. With speeds as uncertain as equal energy
would make them, and contacts and equalities as constraints on them, this is the gain of a Kalman filter. Without any,
nothing but what is read is corrected.
"""

from typing import Any

import numpy as np

from worldmodel.simulate.world import World

_SOFT = 1e-3  # how far constraints give, for those that say the same twice


class Impulses:
    """Corrects speeds of states of a world."""

    def __init__(self, world: World) -> None:
        self.world, self._data = world, world.mj.MjData(world.model)

    def correct(self, model: Any, state: np.ndarray, dofs: np.ndarray, missed: np.ndarray, gains: np.ndarray) -> None:
        """Corrects the speeds of a state [Q], in place.

        Args:
            model: the world's, or one with other numbers.
            state: of which the speeds are corrected.
            dofs: int [K] whose speeds are read.
            missed: [K] what was read less what the state says.
            gains: [K] how much of it is believed, 0 to 1.
        """
        spread = 1 / model.dof_M0
        constrained = self._constraints(model, state)
        through = constrained * spread  # [C, V]
        inner = through @ constrained.T
        inner += _SOFT * (np.trace(inner) / max(len(inner), 1) + 1e-12) * np.eye(len(inner))
        reach = np.linalg.solve(inner, through[:, dofs])  # [C, K]
        covariance = np.diag(spread[dofs]) - through[:, dofs].T @ reach
        noise = np.diag(np.diag(covariance) * (1 - gains) / gains)
        push = np.linalg.solve(covariance + noise, missed)
        step = -through.T @ (reach @ push)
        step[dofs] += spread[dofs] * push
        state[model.nq : model.nq + model.nv] += step

    def _constraints(self, model: Any, state: np.ndarray) -> np.ndarray:
        """[C, V] the rows of contacts and equalities on speeds."""
        mj, data = self.world.mj, self._data
        self.world.packing.load(data, state)
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
