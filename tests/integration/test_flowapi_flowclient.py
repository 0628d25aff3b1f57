# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The real flowclient gets along with the stand-in FlowAPI, as it would with a real one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import flowclient
import pytest

from autoflow.demo_flowapi import FlowapiStandin


def spatial(day: str) -> dict[str, Any]:
    location = flowclient.daily_location_spec(date=day, aggregation_unit="admin1", method="last")
    return {"query_kind": "spatial_aggregate", "locations": location}


@pytest.fixture
def connection(flowapi: FlowapiStandin) -> Iterator[flowclient.Connection]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connection = flowclient.connect(url=flowapi.url, token=flowapi.token())
    yield connection
    connection.session.close()


def test_flowclient_gets_flows_and_geography(connection: flowclient.Connection) -> None:
    home = flowclient.modal_location_from_dates_spec(
        start_date="2016-01-01", end_date="2016-01-03", aggregation_unit="admin3", method="last"
    )
    there = flowclient.daily_location_spec(date="2016-01-02", aggregation_unit="admin3", method="last")
    query = flowclient.flows(connection=connection, from_location=home, to_location=there)
    query.run()
    query.wait_until_ready()
    assert query.status == "completed"
    table = query.get_result()
    assert list(table.columns) == ["pcod_from", "pcod_to", "value"]
    assert table["value"].min() > 15
    features = query.get_result(format="geojson")["features"]
    of = {feature["properties"]["pcod"]: feature["properties"] for feature in features}
    assert list(of["VEL.2.3.1"]) == ["pcod", "outflows", "inflows", "centroid"]
    row = table[(table.pcod_from == "VEL.2.3.1") & (table.pcod_to == "VEL.2.3.1")]
    assert of["VEL.2.3.1"]["outflows"]["VEL.2.3.1"] == row["value"].item()
    places = flowclient.get_geography(connection=connection, aggregation_unit="admin3")["features"]
    assert {place["properties"]["pcod"] for place in places} >= set(table["pcod_from"])


def test_flowclient_runs_queries_by_their_specs(connection: flowclient.Connection) -> None:
    spec = flowclient.unique_subscriber_counts(
        connection=connection, start_date="2016-01-01", end_date="2016-01-03", aggregation_unit="admin1", hours=(8, 20)
    ).parameters
    query_id = flowclient.run_query(connection=connection, query_spec=spec)
    assert flowclient.get_status(connection=connection, query_id=query_id) == "completed"
    table = flowclient.get_result(connection=connection, query_spec=spec)
    assert list(table.columns) == ["pcod", "value"]
    geojson = flowclient.get_geojson_result(connection=connection, query_spec=spec)
    assert [feature["properties"]["value"] for feature in geojson["features"]] == list(table["value"])


def test_flowclient_tells_of_what_went_wrong(flowapi: FlowapiStandin, connection: flowclient.Connection) -> None:
    error = flowclient.errors.FlowclientConnectionError
    with pytest.raises(error, match=r"400.*Unable to create query object.*Payload: .*No data for date"):
        flowclient.run_query(connection=connection, query_spec=spatial("2016-02-01"))
    with pytest.raises(error, match=r"Could not parse query spec"):
        flowclient.run_query(connection=connection, query_spec={})
    with pytest.raises(error, match="User claims verification failed"):
        flowclient.get_geography(connection=connection, aggregation_unit="admin9")
    query_id = flowclient.run_query(connection=connection, query_spec=spatial("2016-01-01"))
    flowapi.flowmachine.flush_redis()
    assert flowclient.get_status(connection=connection, query_id=query_id) == "not_running"
    with pytest.raises(FileNotFoundError):
        flowclient.get_result_by_query_id(connection=connection, query_id=query_id)
    flowapi.set_fault("errored")
    failing = flowclient.run_query(connection=connection, query_spec=spatial("2016-01-02"))
    with pytest.raises(error, match="500 and status 'errored'"):
        flowclient.get_result_by_query_id(connection=connection, query_id=failing)
