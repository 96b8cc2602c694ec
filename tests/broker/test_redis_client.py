"""What a server's error means, however the server and the client's version of it put it."""

import pytest
import redis
from redis._parsers.base import BaseParser

from outbound.broker import redis_client

ANSWERS = {
    "READONLY You can't write against a read only replica.": "READONLY",
    "READONLY You can't write against a read only replica. script: 5c, on @user_script:47.": "READONLY",
    "ERR Error running script (call to f_5c): @user_script:47: @user_script: 47: -READONLY You can't.": "READONLY",
    "OOM command not allowed when used memory > 'maxmemory'.": "OOM",
    "ERR Error running script (call to f_5c): @user_script:47: -OOM command not allowed when used memory": "OOM",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.": "MISCONF",
    "ERR Error running script (call to f_5c): @user_script:1: -MISCONF Redis is configured to save": "MISCONF",
    "NOREPLICAS Not enough good replicas to write.": "NOREPLICAS",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "MASTERDOWN",
    "LOADING Redis is loading the dataset in memory": "LOADING",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "BUSY",
    "CLUSTERDOWN The cluster is down": "CLUSTERDOWN",
    "TRYAGAIN Multiple keys request during rehashing of slot": "TRYAGAIN",
    "MOVED 3999 127.0.0.1:6381": "MOVED",
    "CROSSSLOT Keys in request don't hash to the same slot": "CROSSSLOT",
    "NOPERM this user has no permissions to run the 'evalsha' command": "NOPERM",
    "ERR Error running script: @user_script:4: The user executing the script can't run this command": "NOPERM",
    "NOAUTH Authentication required.": "NOAUTH",
    "WRONGPASS invalid username-password pair or user is disabled.": "WRONGPASS",
    "ERR invalid password": "WRONGPASS",
    "ERR max number of clients reached": "MAXCLIENTS",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": "UNBLOCKED",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "WRONGTYPE",
    "ERR unknown command 'EVALSHA', with args beginning with: '5c'": "ERR",
}


def answered(text: str) -> redis.RedisError:
    """The error that the client makes of an answer."""
    error: redis.RedisError = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize("answer", ANSWERS)
def test_whatever_a_server_answers_in_place_of_doing_it_is_a_refusal_with_its_code(answer: str) -> None:
    refusal = redis_client._refusal(answered(answer))

    assert refusal is not None
    assert refusal.cause == ANSWERS[answer]
    assert redis_client.fault(refusal).code == ANSWERS[answer]
    assert redis_client.fault(refusal).mend


@pytest.mark.parametrize(
    "error",
    [
        redis.ConnectionError("Connection closed by server."),
        redis.TimeoutError("Timeout reading from socket"),
        redis.exceptions.NoScriptError("No matching script. Please use EVAL."),
    ],
)
def test_a_connection_that_is_lost_and_a_script_that_is_not_there_yet_are_none(error: redis.RedisError) -> None:
    assert redis_client._refusal(error) is None
    assert redis_client.fault(error).code == "AWAY"
