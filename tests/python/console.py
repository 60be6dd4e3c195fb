"""A console of the alert bus made of nothing but the stock gRPC tools and our .proto files.

It follows one named subscription and prints a JSON line for each record after it was "shown" (printed), then
acknowledges it. When the stream ends or breaks it opens another one at the cursor it reached. It ends by itself after
`--seconds`, or as soon as a line matching `--until` was printed.

Usage: console.py GENERATED API NAME --seconds N [--until ALERT_ID]

GENERATED is the folder of the code that `python -m grpc_tools.protoc` made from proto/.
"""

import argparse
import json
import sys
import time

import grpc


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("generated")
    arguments.add_argument("api")
    arguments.add_argument("name")
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--until", default="")
    arguments = arguments.parse_args()
    sys.path.insert(0, arguments.generated)
    from xueliang.v1 import alert_pb2 as wire
    from xueliang.v1 import alert_pb2_grpc as services

    end = time.monotonic() + arguments.seconds
    cursor = b""
    shown = {}

    def say(**line):
        print(json.dumps(line), flush=True)

    while time.monotonic() < end:
        with grpc.insecure_channel(arguments.api) as channel:
            bus = services.AlertServiceStub(channel)
            request = wire.SubscribeRequest(subscription=arguments.name, cursor=cursor)
            stream = bus.Subscribe(request, timeout=max(end - time.monotonic(), 0.1), wait_for_ready=True)
            subscription = ""
            try:
                for response in stream:
                    what = response.WhichOneof("item")
                    item = getattr(response, what)
                    reached = b""
                    if what == "opened":
                        subscription = item.subscription_id
                        say(item="opened", resumed=bool(cursor))
                    elif what == "delivery":
                        alert = item.record.alert
                        reached = item.cursor
                        # What was shown before, in this revision or a later one, is not shown again.
                        if shown.get(alert.alert_id, 0) < alert.revision:
                            shown[alert.alert_id] = alert.revision
                            say(
                                item="record",
                                alert=alert.alert_id,
                                revision=alert.revision,
                                lane=wire.Lane.Name(item.lane),
                                kind=wire.Kind.Name(alert.kind),
                                snapshot=item.in_snapshot,
                                age_us=item.age_us,
                            )
                    elif what == "gap":
                        say(item="gap", reason=wire.GapReason.Name(item.reason))
                        shown.clear()
                    elif what == "closed":
                        say(item="closed", reason=wire.CloseReason.Name(item.reason))
                        cursor = item.cursor or cursor
                    elif what in ("bookmark", "summary") or (what == "snapshot" and not item.begin):
                        reached = item.cursor
                    if reached:
                        cursor = reached
                        bus.Acknowledge(
                            wire.AcknowledgeRequest(subscription_id=subscription, cursor=cursor), timeout=5
                        )
                    if what == "delivery" and alert.alert_id == arguments.until:
                        return
            except grpc.RpcError as error:
                if time.monotonic() < end:
                    say(item="lost", code=error.code().name)
                    time.sleep(0.2)


if __name__ == "__main__":
    main()
