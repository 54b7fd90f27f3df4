"""Nothing is lost silently: whatever is published, and however clients come, lag, drop and resume, the books balance.

2,000 examples here, the same in every run, so that a run judges the change and not its luck; with
`SENSOR_GATEWAY_EXAMPLES=100000` a soak draws new ones.
"""

import os

import pytest
from hypothesis import HealthCheck, settings
from support.ordermodel import Accounts

EXAMPLES = int(os.environ.get("SENSOR_GATEWAY_EXAMPLES", "2000"))

TestAccounts = pytest.mark.timeout(60 + EXAMPLES // 5)(Accounts.TestCase)
TestAccounts.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    deadline=None,
    derandomize="SENSOR_GATEWAY_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
