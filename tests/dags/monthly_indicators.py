# ruff: noqa
"""A DAG as analysts write them for flowpyter-task: monthly, from aggregates to an upload."""

from datetime import datetime, timedelta

import yaml
from airflow import DAG
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sensors.time_delta import TimeDeltaSensorAsync
from dateutil.relativedelta import relativedelta
from flowpytertask import FlowpyterOperator

project = "{{ var.value.PROJECTS_DIR }}/velia"

with DAG(
    dag_id="velia_indicators",
    schedule=relativedelta(months=1),
    start_date=datetime(2022, 8, 1),
    end_date=None,
    max_active_runs=1,
    default_args=dict(
        retries=2,
        retry_delay=timedelta(hours=1),
        email=["analyst@example.org"],
        host_notebook_out_dir=f"{project}/executed",
        host_dagrun_data_dir=f"{project}/data/runs",
        host_shared_data_dir=f"{project}/data/shared",
    ),
    params=dict(benchmark="2020-01-01"),
) as dag:
    settle = TimeDeltaSensorAsync(task_id="settle", delta=timedelta(hours=30))
    cells = SQLExecuteQueryOperator(task_id="cells", sql="SELECT name FROM cells", conn_id="flowdb")
    common = dict(author="robot", start_date="{{ ds }}", cells="{{ ti.xcom_pull(task_ids='cells') }}")
    home = FlowpyterOperator(
        task_id="home",
        notebook_name="home_locations.ipynb",
        host_notebook_dir=f"{project}/notebooks/aggregates",
        nb_params=dict(**common, redact=True, window=[7, 28]),
        requires_flowapi=True,
        pool="queries",
    )
    presence = FlowpyterOperator(
        task_id="presence",
        notebook_name="presence.ipynb",
        host_notebook_dir=f"{project}/notebooks/aggregates",
        nb_params=dict(**common, redact=False, first_day="{{ macros.ds_add(ds, -7) }}"),
        requires_flowdb=True,
        image="velia/analysis:3",
        network_mode="velia_net",
        execution_timeout=timedelta(hours=2, minutes=30),
    )
    indicators = FlowpyterOperator(
        task_id="indicators",
        notebook_name="indicators.ipynb",
        host_notebook_dir=f"{project}/notebooks/indicators",
        read_only_mounts=dict(static_dir=f"{project}/static", areas_dir="/srv/velia/areas"),
        nb_params={"data_date": "{{ds}}", "benchmark": "{{ params.benchmark }}", "folder": "html/{{ ds }}"},
        depends_on_past=True,
    )
    upload = FlowpyterOperator(
        task_id="upload",
        notebook_name="upload.ipynb",
        host_notebook_dir=f"{project}/notebooks/upload",
        nb_params=yaml.safe_dump(dict(url="https://receiver.example.org", kinds=["home", "presence"])),
        environment=dict(ADMIN_SECRET="{{ var.value.ADMIN_SECRET }}"),
    )

    settle >> cells >> [home, presence] >> indicators >> upload
