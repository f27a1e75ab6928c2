"""Run the node: ``ros2 run uois_sam_ros uois_sam_node`` and ``uois-sam node``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..errors import UoisError


def main(args: Sequence[str] | None = None) -> int:
    """Spin the node until it is told to stop.

    Args:
        args: the command line, ROS arguments included; default ``sys.argv``.

    Returns:
        0 after a shutdown, 2 when the node could not be made.
    """
    try:
        from . import api
        from .node import SegmentNode

        api.init(args=list(sys.argv if args is None else args))
        node = SegmentNode()
    except UoisError as error:
        return _refuse(str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__.partition(".")[0]:
            raise
        return _refuse(f"expected the package '{error.name}', got none for {sys.executable}; activate the environment "
                       "that has it, or pip install it there")
    executor = api.MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    try:
        node.start()
        executor.spin()
    except (KeyboardInterrupt, api.ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        api.try_shutdown()
    return 0


def _refuse(reason: str) -> int:
    print(f"uois_sam_node: error: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
