"""The fixtures of tests/integration, for clients that others have made."""
import importlib.util
import os
import sys

INTEGRATION = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "integration")
sys.path.insert(0, INTEGRATION)

_spec = importlib.util.spec_from_file_location("fixtures", os.path.join(INTEGRATION, "conftest.py"))
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)

pytest_configure = _fixtures.pytest_configure
pytest_runtest_makereport = _fixtures.pytest_runtest_makereport
shared = _fixtures.shared
make_cluster = _fixtures.make_cluster
module_cluster = _fixtures.module_cluster
name = _fixtures.name
