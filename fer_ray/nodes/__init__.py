"""Ray nodes on this machine as a cluster of their own: `up`, `status` and `down`.

Nothing here imports Ray: nodes are processes of `ray start --block`, and the dashboard says what they do.
"""

from fer_ray.nodes.down import down
from fer_ray.nodes.state import Cluster, Node, read_cluster
from fer_ray.nodes.status import ClusterStatus, NodeStatus, status
from fer_ray.nodes.up import up

__all__ = ["Cluster", "ClusterStatus", "Node", "NodeStatus", "down", "read_cluster", "status", "up"]
