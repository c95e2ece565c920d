"""RTSP over WebSocket as a client: play_ws.py URL PICTURES GRAY SOUND CA USER PASSWORD, the URL as wss://HOST:PORT/rtspoverwebsocket#STREAM.

The websockets package carries the bytes, PyAV speaks RTSP and decodes: a loopback socket joins the two. Each message
must hold whole RTSP answers or whole interleaved packets, as the gateway promises.
"""
import socket
import ssl
import sys
import threading

import websockets.sync.client

import play_av


def main(url, pictures, gray, sound, ca, user, password):
    url, stream = url.split("#")
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        websockets.sync.client.connect(url, ssl=context, subprotocols=["rtsp.onvif.org"], compression=None, max_size=None) as web,
    ):
        assert web.subprotocol == "rtsp.onvif.org", web.subprotocol
        threading.Thread(target=carry, args=(server, web), daemon=True).start()
        local = f"rtsp://{user}:{password}@127.0.0.1:{server.getsockname()[1]}/{stream}"
        play_av.main(local, pictures, gray, sound, "rtsp_transport=tcp")


def carry(server, web):
    player, _ = server.accept()
    threading.Thread(target=up, args=(player, web), daemon=True).start()
    try:
        for message in web:
            check(message)
            player.sendall(message)
    except (OSError, websockets.exceptions.ConnectionClosed):
        pass
    player.close()


def up(player, web):
    try:
        while request := player.recv(4096):
            # In two messages, and the second in fragments: where they are cut means nothing.
            web.send(request[:7])
            web.send([request[7:9], request[9:]])
    except (OSError, websockets.exceptions.ConnectionClosed):
        pass


def check(message):
    """Whole packets, each with its length; or an answer."""
    assert isinstance(message, bytes), "text"
    at = 0
    while message[at : at + 1] == b"$":
        at += 4 + int.from_bytes(message[at + 2 : at + 4], "big")
    assert at == len(message) or (at == 0 and message.startswith(b"RTSP/1.0 ")), "a message that ends within a packet"


if __name__ == "__main__":
    main(*sys.argv[1:])
