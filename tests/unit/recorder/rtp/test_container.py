"""Packets of an unknown codec can be read back from their container as they came."""

import json

import numpy as np

from recorder.rtp import container
from recorder.rtp.batch import PACKET_ROW
from recorder.rtp.sequence import Track


def test_the_container_can_be_read_by_its_own_description() -> None:
    """Header, rows and payloads stand where the documented layout says, for each track."""
    tracks = []
    for stream in range(2):
        rows = np.zeros(3, PACKET_ROW)
        rows["sequence"], rows["size"], rows["payload_type"] = [5, 6, 7], [10, 20, 30], 18
        track = Track(stream, 0xABC + stream)
        track.add(rows, bytes(range(60)))
        tracks.append(container.RawTrack(track, str(stream), "ab"[stream], {"18": "G729/8000"}))
    data = container.write("id", "2026-11-22T10:00:00Z", tracks)

    assert data[:8] == b"EWRTP001"
    size = int.from_bytes(data[8:12], "big")
    header = json.loads(data[12 : 12 + size])
    at = 12 + size
    dtype = np.dtype([tuple(column) for column in header["row"]])
    assert dtype.itemsize == header["rowBytes"]
    for number, described in enumerate(header["tracks"]):
        rows = np.frombuffer(data, dtype, described["packets"], at)
        at += dtype.itemsize * described["packets"]
        payload = data[at : at + described["payloadBytes"]]
        at += described["payloadBytes"]
        assert rows["sequence"].tolist() == [5, 6, 7]
        assert payload == bytes(range(60))
        assert described["ssrc"] == f"{0xABC + number:08x}"
        assert described["payloadTypes"] == {"18": "G729/8000"}
    assert at == len(data)
