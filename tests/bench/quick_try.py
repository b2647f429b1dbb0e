from tests.bench import throughput
from tests.bench.scale import QUICK
from tests.bench.figures import show
from rich.console import Console
show([*throughput.create(QUICK), *throughput.get(QUICK)], Console())
