# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A first workflows.yml from an Airflow DAG: the file is read as text, and never imported or run."""

from autoflow.airflow.dag_file import Dag, Task, read_dags
from autoflow.airflow.writing import workflows_yml

__all__ = ["Dag", "Task", "read_dags", "workflows_yml"]
