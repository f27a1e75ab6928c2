"""One-to-one assignment of least total cost, without scipy."""

from __future__ import annotations

import numpy as np


def assign(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve the rectangular assignment problem exactly (shortest augmenting paths, O(n^3)).

    Args:
        cost: float[R, C], finite.

    Returns:
        rows, columns: int64[min(R, C)] each; ``cost[rows, columns].sum()`` is minimal and
        ``rows`` ascends.
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or not np.isfinite(cost).all():
        raise ValueError(f"cost: expected a finite float[R, C], got shape {cost.shape}")
    if cost.shape[0] > cost.shape[1]:
        columns, rows = assign(cost.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    row_of = _augment_all(cost)
    columns = np.flatnonzero(row_of >= 0)
    rows = row_of[columns]
    order = np.argsort(rows)
    return rows[order], columns[order]


def _augment_all(cost: np.ndarray) -> np.ndarray:
    """Return int64[C]: the row given to each column, -1 for none (R <= C)."""
    n_rows, n_cols = cost.shape
    row_price, col_price = np.zeros(n_rows), np.zeros(n_cols)
    row_of = np.full(n_cols, -1, dtype=np.int64)
    col_of = np.full(n_rows, -1, dtype=np.int64)
    for start in range(n_rows):
        distance = np.full(n_cols, np.inf)
        came_from = np.full(n_cols, -1, dtype=np.int64)
        done = np.zeros(n_cols, dtype=bool)
        row, reached, visited = start, 0.0, []
        while True:
            visited.append(row)
            through = reached + cost[row] - row_price[row] - col_price
            shorter = ~done & (through < distance)
            distance[shorter], came_from[shorter] = through[shorter], row
            column = int(np.argmin(np.where(done, np.inf, distance)))
            reached = distance[column]
            done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        row_price[start] += reached
        others = visited[1:]
        row_price[others] += reached - distance[col_of[others]]
        col_price[done] -= reached - distance[done]
        while column >= 0:  # swap the pairs along the path
            row = int(came_from[column])
            row_of[column] = row
            col_of[row], column = column, int(col_of[row])
    return row_of
