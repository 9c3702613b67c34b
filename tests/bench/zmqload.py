"""One client of the ZeroMQ door, as the older registry's are: asks, waits, asks again.

    zmqload.py PORT ACTION SECONDS NUMBER      prints its figures as JSON"""
import json
import sys
import time

import zmq


def requests_of(action, number):
    """What it asks, over and over."""
    id = "bench-%d" % number
    info = {"name": "bench", "host": "10.0.0.1", "port": 1, "id": id, "type": "T%d" % number}
    register = {"action": "register", "service_info": info, "ttl": 3600}
    asks = {
        "health": [{"action": "health"}],
        "discover": [{"action": "discover", "service_type": "T%d" % number}],
        "renew": [{"action": "renew", "service_id": id}],
        # Other content each time: an update.
        "register": [{**register, "service_info": {**info, "port": 1 + n}} for n in range(2)],
    }[action]
    return json.dumps(register).encode(), [json.dumps(a).encode() for a in asks]


def main(port, action, seconds, number):
    first, asks = requests_of(action, number)
    socket = zmq.Context().socket(zmq.DEALER)
    socket.rcvtimeo = 10000
    socket.connect("tcp://127.0.0.1:%d" % port)

    def ask(text):
        socket.send_multipart([b"REQ", text])
        return json.loads(socket.recv_multipart()[-1])["success"]

    ask(first)
    took, failed = [], 0
    until = time.monotonic() + seconds
    began = now = time.monotonic()
    while now < until:
        failed += not ask(asks[len(took) % len(asks)])
        after = time.monotonic()
        took.append(after - now)
        now = after
    took.sort()
    print(json.dumps({"requests": len(took), "failed": failed, "per_second": len(took) / (now - began),
                      "cpu_s": time.process_time(), "p50": took[len(took) // 2] * 1e3,
                      "p99": took[len(took) * 99 // 100] * 1e3}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
