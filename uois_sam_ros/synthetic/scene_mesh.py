"""Flatten a scene into one triangle mesh with per-triangle tables, and cast rays at it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from .model import MATERIALS, Piece, Placed, Scene, Surface

_CREASE_COS = 0.7


@dataclass(frozen=True)
class SurfaceEntry:
    """One part of one object, as the shading sees it.

    Attributes:
        surface: look.
        label: object id, 0 for background.
        part: part id, 0 for background.
        family: of the object.
        to_object: float32[4, 4], world to object frame.
    """

    surface: Surface
    label: int
    part: int
    family: str
    to_object: np.ndarray


class SceneMesh:
    """All triangles of a scene, world frame.

    Attributes:
        entries: one per (object, part), objects first in id order, then background.
        vertices: float32[V, 3]; faces: int32[F, 3]; entry: int32[F] index into ``entries``.
        corner_normals: float32[F, 3, 3], unit, smooth where the piece is smooth.
        face_normals: float32[F, 3], unit, outward.
        label, part, material: one a entry.
    """

    def __init__(self, scene: Scene) -> None:
        self.entries: list[SurfaceEntry] = []
        vertices, faces, entry, smooth, owner = [], [], [], [], []
        offset, next_part = 0, 1
        placed_all = list(scene.objects) + list(scene.background)
        for index, placed in enumerate(placed_all):
            labelled = index < len(scene.objects)
            first = len(self.entries)
            inverse = np.linalg.inv(placed.pose).astype(np.float32)
            for number, surface in enumerate(placed.model.surfaces):
                part = next_part + number if labelled else 0
                self.entries.append(SurfaceEntry(surface, index + 1 if labelled else 0, part,
                                                 placed.model.family, inverse))
            if labelled:
                next_part += len(placed.model.parts)
            for piece in placed.model.pieces:
                vertices.append(world_vertices(placed, piece))
                faces.append(np.asarray(piece.faces, np.int32) + offset)
                offset += len(piece.vertices)
                count = len(piece.faces)
                entry.append(np.full(count, first + min(piece.part, len(placed.model.surfaces) - 1), np.int32))
                smooth.append(np.full(count, piece.smooth))
                owner.append(np.full(count, index, np.int32))
        self.vertices = np.ascontiguousarray(np.concatenate(vertices), np.float32)
        self.faces = np.ascontiguousarray(np.concatenate(faces), np.int32)
        self.entry = np.concatenate(entry)
        self.label = np.array([e.label for e in self.entries], np.uint16)
        self.part = np.array([e.part for e in self.entries], np.uint16)
        self.material = np.array([MATERIALS.index(e.surface.material) for e in self.entries], np.uint8)
        corners = self.vertices[self.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        self.face_normals = (cross / np.maximum(length, 1e-20)).astype(np.float32)
        self.corner_normals = _corner_normals(corners, self.face_normals, np.concatenate(smooth),
                                              np.concatenate(owner))

    def redressed(self, scene: Scene) -> SceneMesh:
        """Return the same geometry with the textures of ``scene``, which must differ in nothing else."""
        surfaces = [surface for placed in (*scene.objects, *scene.background) for surface in placed.model.surfaces]
        other = copy.copy(self)
        other.entries = [replace(entry, surface=surface) for entry, surface in zip(self.entries, surfaces, strict=True)]
        return other


def world_vertices(placed: Placed, piece: Piece) -> np.ndarray:
    """Return the vertices of a piece in the world frame, float32[V, 3]."""
    return (np.asarray(piece.vertices) @ placed.pose[:3, :3].T + placed.pose[:3, 3]).astype(np.float32)


def _corner_normals(corners: np.ndarray, normals: np.ndarray, smooth: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Average the normals of neighbouring smooth faces of an object, but not over creases."""
    out = np.repeat(normals[:, None], 3, 1)
    chosen = np.flatnonzero(smooth)
    if not len(chosen):
        return out
    cells = np.round(corners[chosen].reshape(-1, 3) / 2e-5).astype(np.int64)
    key = ((cells[:, 0] * 73856093) ^ (cells[:, 1] * 19349663) ^ (cells[:, 2] * 83492791)) * 1024
    key += np.repeat(owner[chosen], 3)
    _, vertex = np.unique(key, return_inverse=True)
    face = np.repeat(np.arange(len(chosen)), 3)
    angle = _corner_angles(corners[chosen]).ravel()
    incidence = sparse.csr_matrix((np.ones(len(face), np.float32), (np.arange(len(face)), vertex.ravel())))
    by_vertex = sparse.csr_matrix((angle, (vertex.ravel(), face)))
    pairs = (incidence @ by_vertex).tocoo()
    unit = normals[chosen]
    close = np.einsum("ij,ij->i", unit[face[pairs.row]], unit[pairs.col]) > _CREASE_COS
    weights = sparse.csr_matrix((pairs.data[close], (pairs.row[close], pairs.col[close])), shape=pairs.shape)
    summed = weights @ unit
    summed /= np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-20)
    out[chosen] = summed.reshape(-1, 3, 3)
    return out.astype(np.float32)


def _corner_angles(corners: np.ndarray) -> np.ndarray:
    """Return the inner angles float32[F, 3] of triangles float32[F, 3, 3], radians."""
    along = np.roll(corners, -1, axis=1) - corners
    along /= np.maximum(np.linalg.norm(along, axis=2, keepdims=True), 1e-12)
    cosine = -np.einsum("fij,fij->fi", along, np.roll(along, 1, axis=1))
    return np.arccos(np.clip(cosine, -1, 1)).astype(np.float32)


class RayCaster:
    """Nearest hits and occlusion against some faces of a mesh, through ``embreex``.

    Args:
        mesh: the scene.
        keep: bool[F], the faces that rays can hit; ``None`` for all.
    """

    def __init__(self, mesh: SceneMesh, keep: np.ndarray | None = None) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        self._faces = None if keep is None else np.flatnonzero(keep).astype(np.int32)
        faces = mesh.faces if self._faces is None else mesh.faces[self._faces]
        self._empty = len(faces) == 0
        self._scene = EmbreeScene()
        if not self._empty:
            self._mesh = TriangleMesh(self._scene, mesh.vertices, np.ascontiguousarray(faces))

    def nearest(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return face int32[n] (-1 = none), distance, u, v (float32[n]) of the nearest hits."""
        count = len(origins)
        if self._empty or count == 0:
            zero = np.zeros(count, np.float32)
            return np.full(count, -1, np.int32), zero, zero, zero
        found = self._scene.run(np.ascontiguousarray(origins, np.float32),
                                np.ascontiguousarray(directions, np.float32), output=True)
        face = found["primID"]
        if self._faces is not None:
            face = np.where(face >= 0, self._faces[face], -1)
        return face, found["tfar"], found["u"], found["v"]

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Return bool[n]: something lies within ``reach`` (float32[n], in direction lengths)."""
        if self._empty or len(origins) == 0:
            return np.zeros(len(origins), bool)
        found = self._scene.run(np.ascontiguousarray(origins, np.float32),
                                np.ascontiguousarray(directions, np.float32),
                                dists=np.ascontiguousarray(reach, np.float32), query="OCCLUDED")
        return found != -1
