"""Let objects fall and come to rest, with MuJoCo.

Every object is one free body of convex geoms; pieces of one body never collide with each other.
The support is the plane z = 0; anything else that holds objects (bin walls, shelf boards) is
given as fixed background. Accuracy is that of a picture, not of a robot: coarse steps, strong
damping, and whatever misbehaves is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from .model import Piece, Placed

TIMESTEP = 0.004  # seconds; meshes of 5 mm still do not tunnel at the speeds reached here
CHUNK = 10  # steps between two looks at the speeds
REST_SPEED = 0.03  # m/s of the fastest object below which the heap counts as settled
MAX_PENETRATION = 0.004  # metres between two objects before one of them is taken out
MAX_SINK = 0.0025  # metres below the support before an object is taken out
FALL_SPEED = 0.6  # m/s downwards at the start of a drop, to save steps


@dataclass(frozen=True)
class Settled:
    """The outcome of one settling.

    Attributes:
        kept: indices of the input objects that lie at rest, ascending.
        poses: float64[4, 4] object to world, one for each of ``kept``.
    """

    kept: tuple[int, ...]
    poses: tuple[np.ndarray, ...]


def settle(
    objects: Sequence[Placed],
    fixed: Sequence[Placed] = (),
    *,
    duration: float = 2.0,
    inside: Callable[[np.ndarray], bool] | None = None,
    falling: bool = True,
) -> Settled:
    """Simulate until the objects rest or ``duration`` has passed.

    Args:
        objects: models at their starting poses, free of overlap.
        fixed: immovable things that objects collide with.
        duration: longest simulated time, seconds.
        inside: gets the world vertices float64[V, 3] of a settled object; False takes it out
            (fell off the table, left the bin).
        falling: start with a downward speed; False for things that stand already.

    Returns:
        The objects at rest on the support, on each other or on ``fixed``.
    """
    if not objects:
        return Settled((), ())
    model = _compile(objects, fixed)
    data = mujoco.MjData(model)
    if falling:
        data.qvel[2::6] = -FALL_SPEED
    clouds = [_cloud(placed) for placed in objects]
    alive = np.ones(len(objects), bool)
    _run(model, data, duration, alive)
    for _ in range(3):  # taking one out may set its neighbours in motion
        bad = _misplaced(data, clouds, inside) | _penetrating(model, data, objects)
        bad &= alive
        if not bad.any():
            break
        alive &= ~bad
        for index in np.flatnonzero(bad):
            data.qpos[7 * index : 7 * index + 3] = (50.0 + 3.0 * index, 0.0, 2.0)
        _run(model, data, 0.4, alive)
    moving = np.abs(data.qvel.reshape(-1, 6)[:, :3]).max(1) > 3 * REST_SPEED
    alive &= ~moving & ~_misplaced(data, clouds, inside)
    kept = tuple(int(index) for index in np.flatnonzero(alive))
    return Settled(kept, tuple(_pose(data, index) for index in kept))


def _run(model: mujoco.MjModel, data: mujoco.MjData, duration: float, alive: np.ndarray) -> None:
    """Step until every living object is slow twice in a row."""
    calm = 0
    velocity = data.qvel.reshape(-1, 6)
    for _ in range(max(1, int(duration / (CHUNK * TIMESTEP)))):
        mujoco.mj_step(model, data, nstep=CHUNK)
        if not np.isfinite(data.qpos).all() or np.abs(velocity).max() > 1e3:
            mujoco.mj_resetData(model, data)
            alive[:] = False
            return
        velocity[:, :3] *= 0.98
        velocity[:, 3:] *= 0.9  # stands in for rolling friction
        np.clip(velocity[:, :3], -2.5, 2.5, out=velocity[:, :3])
        np.clip(velocity[:, 3:], -20.0, 20.0, out=velocity[:, 3:])
        if alive.any():
            slow = np.abs(velocity[alive, :3]).max() < REST_SPEED
            slow &= np.abs(velocity[alive, 3:]).max() < 20 * REST_SPEED
            calm = calm + 1 if slow else 0
        if calm >= 2 or not alive.any():
            return


def _compile(objects: Sequence[Placed], fixed: Sequence[Placed]) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.option.timestep = TIMESTEP
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.iterations = 12
    spec.option.ls_iterations = 8
    spec.option.tolerance = 1e-5
    spec.option.ccd_iterations = 20
    spec.compiler.balanceinertia = True
    spec.compiler.boundmass = 1e-4
    spec.compiler.boundinertia = 1e-8
    meshes: dict[int, str] = {}
    world = spec.worldbody
    ground = world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5.0, 5.0, 0.1])
    _contact(ground)
    for placed in fixed:
        body = world.add_body(**_frame(placed.pose))
        for piece in placed.model.pieces:
            _contact(_add_geom(spec, body, piece, meshes))
    for placed in objects:
        body = world.add_body(**_frame(placed.pose))
        body.add_freejoint()
        for piece in placed.model.pieces:
            geom = _add_geom(spec, body, piece, meshes)
            _contact(geom)
            geom.density = placed.model.density
        _set_inertia(body, placed)
    return spec.compile()


def _contact(geom: mujoco.MjsGeom) -> None:
    geom.solref = [0.012, 1.0]
    geom.solimp = [0.95, 0.99, 0.001, 0.5, 2.0]
    geom.friction = [0.7, 0.005, 0.0001]
    geom.condim = 3


def _frame(pose: np.ndarray) -> dict[str, list[float]]:
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(pose[:3, :3], np.float64).ravel())
    return {"pos": pose[:3, 3].tolist(), "quat": quaternion.tolist()}


def _add_geom(spec: mujoco.MjSpec, body, piece: Piece, meshes: dict[int, str]):
    """Add a box where the piece is one (faster, several contacts), else a mesh."""
    box = _as_box(piece.vertices)
    if box is not None:
        centre, axes, half = box
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = axes, centre
        return body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half.tolist(), **_frame(pose))
    name = meshes.get(id(piece))
    if name is None:
        name = meshes[id(piece)] = f"piece{len(meshes)}"
        mesh = spec.add_mesh(name=name)
        mesh.uservert = np.asarray(piece.vertices, np.float32).ravel()
        mesh.userface = np.asarray(piece.faces, np.int32).ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
    return body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name)


def _as_box(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Centre, axes (columns) and half sizes when eight vertices form a right-angled box."""
    if len(vertices) != 8:
        return None
    points = np.asarray(vertices, np.float64)
    centre = points.mean(0)
    radius = np.linalg.norm(points - centre, axis=1)
    if np.ptp(radius) > 1e-4 * radius.max():
        return None
    offsets = points[1:] - points[0]
    offsets = offsets[np.argsort(np.linalg.norm(offsets, axis=1))]
    first = offsets[0]
    for second in offsets[1:3]:
        third = 2 * (centre - points[0]) - first - second
        edges = np.stack([first, second, third])
        lengths = np.linalg.norm(edges, axis=1)
        if lengths.min() < 1e-6:
            continue
        axes = edges / lengths[:, None]
        if np.abs(axes @ axes.T - np.eye(3)).max() < 1e-3:
            if np.linalg.det(axes) < 0:
                axes[2] *= -1
            local = np.abs((points - centre) @ axes.T)
            if np.abs(local - lengths / 2).max() < 1e-3 * lengths.max():
                return centre, axes.T, lengths / 2
    return None


def _set_inertia(body, placed: Placed) -> None:
    """Mass from the pieces' boxes, inertia of the whole box: robust for slivers and shells."""
    lower, upper = placed.model.bounds
    volume, moment = 0.0, np.zeros(3)
    for piece in placed.model.pieces:
        low, high = piece.vertices.min(0), piece.vertices.max(0)
        share = float(np.prod(np.maximum(high - low, 1e-4)))
        volume += share
        moment += share * (low + high) / 2
    size = np.maximum(np.asarray(upper, np.float64) - lower, 5e-3)
    mass = float(np.clip(0.6 * volume * placed.model.density, 3e-3, 5.0))
    inertia = mass / 12 * (np.square(size).sum() - np.square(size))
    body.explicitinertial = True
    body.mass = mass
    body.ipos = (moment / volume).tolist()
    body.inertia = np.maximum(inertia, 1e-7).tolist()


def _cloud(placed: Placed) -> np.ndarray:
    return np.concatenate([piece.vertices for piece in placed.model.pieces]).astype(np.float64)


def _pose(data: mujoco.MjData, index: int) -> np.ndarray:
    state = data.qpos[7 * index : 7 * index + 7]
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, state[3:])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.reshape(3, 3), state[:3]
    return pose


def _misplaced(data: mujoco.MjData, clouds: Sequence[np.ndarray], inside) -> np.ndarray:
    out = np.zeros(len(clouds), bool)
    for index, cloud in enumerate(clouds):
        pose = _pose(data, index)
        points = cloud @ pose[:3, :3].T + pose[:3, 3]
        out[index] = points[:, 2].min() < -MAX_SINK or (inside is not None and not inside(points))
    return out


def _penetrating(model: mujoco.MjModel, data: mujoco.MjData, objects: Sequence[Placed]) -> np.ndarray:
    """Mark the lighter of two objects that overlap, and any object inside a fixed thing."""
    out = np.zeros(len(objects), bool)
    contact = data.contact
    first_object = model.nbody - len(objects)
    for index in np.flatnonzero(contact.dist < -MAX_PENETRATION):
        bodies = [model.geom_bodyid[geom] for geom in contact.geom[index]]
        movable = [body for body in bodies if body >= first_object]
        if movable:
            out[min(movable, key=lambda body: model.body_mass[body]) - first_object] = True
    return out
