"""An analytics box of another maker, made of nothing but the stock gRPC tools and our .proto files.

It raises alerts of one kind at one place and ends each. What the bus did not answer for, or had too many of, it sends again
as it was: the same alert id and revision is stored once. It prints a JSON line for each answer.

Usage: box.py GENERATED API --place ID --kind KIND [--alerts N] [--token-file FILE]

GENERATED is the folder of the code that `python -m grpc_tools.protoc` made from proto/. The place is a camera of the
service's configuration or a device that the configuration declares for this publisher.
"""

import argparse
import json
import os
import sys
import time

import grpc


def uuid7():
    number = int(time.time() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("generated")
    arguments.add_argument("api")
    arguments.add_argument("--place", required=True)
    arguments.add_argument("--kind", required=True)
    arguments.add_argument("--alerts", type=int, default=1)
    arguments.add_argument("--token-file")
    arguments = arguments.parse_args()
    sys.path.insert(0, arguments.generated)
    from xueliang.v1 import alert_pb2 as wire
    from xueliang.v1 import alert_pb2_grpc as services

    metadata = []
    if arguments.token_file:
        with open(arguments.token_file, encoding="ascii") as file:
            metadata.append(("authorization", "Bearer " + file.read().strip()))

    def say(**line):
        print(json.dumps(line), flush=True)

    def state(alert_id, revision, **rest):
        now = int(time.time() * 1_000_000)
        return wire.Publication(
            alert=wire.Alert(
                alert_id=alert_id,
                revision=revision,
                kind=wire.Kind.Value("KIND_" + arguments.kind),
                level=wire.LEVEL_2,
                place=wire.Place(camera_id=arguments.place),
                started_unix_us=now,
                last_seen_unix_us=now,
                decided_unix_us=now,
                count=1,
                confidence=0.9,
                regions=[wire.Region(x0=0.4, y0=0.4, x1=0.6, y1=0.6)],
                publisher="node-1",  # Ignored: who publishes is who signed in.
                **rest,
            )
        )

    with grpc.insecure_channel(arguments.api) as channel:
        bus = services.AlertServiceStub(channel)

        def publish(publications):
            request = wire.PublishRequest(publications=publications)
            while True:
                try:
                    return bus.Publish(request, metadata=metadata, timeout=10, wait_for_ready=True).results
                except grpc.RpcError as error:
                    say(item="error", code=error.code().name, message=error.details())
                    hint = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
                    if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and hint:
                        time.sleep(int(hint) / 1000)
                    elif error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                        time.sleep(0.5)
                    else:
                        sys.exit(1)

        for _ in range(arguments.alerts):
            alert_id = uuid7()
            begun = state(alert_id, 1, state=wire.ALERT_STATE_FIRING)
            now = int(time.time() * 1_000_000)
            ended = state(
                alert_id,
                2,
                state=wire.ALERT_STATE_RESOLVED,
                resolution=wire.RESOLUTION_OBSERVED_ABSENCE,
                resolved_unix_us=now,
            )
            # The first twice, as after an answer that was lost.
            for result in publish([begun, begun, ended]):
                outcome = wire.PublishOutcome.Name(result.outcome)
                say(item="result", alert=alert_id, outcome=outcome, message=result.message)


if __name__ == "__main__":
    main()
