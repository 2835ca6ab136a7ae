"""curl, and pages in headless Chromium: -N shows pieces as they come; a page of another origin reads nothing unless
--http_cors_origins names it; a name that was bound to this address gets 421. What is not installed is left out, and said."""
import functools
import http.server
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading

from support.server import DEMO, Server, free_port

PAGE = """<!DOCTYPE html><body><script>
fetch("http://127.0.0.1:%d/v1/completions", {method: "POST", headers: {"Content-Type": "application/json"},
  body: JSON.stringify({prompt: "Once upon", max_tokens: 5, temperature: 0})})
  .then(async answer => { const body = await answer.json();
    document.body.textContent = "read " + body.choices.length + " of " + answer.headers.get("x-dyad-model-digest"); })
  .catch(error => { document.body.textContent = "refused " + error; });
</script></body>"""


def check_curl(port):
    """-d, and -N: the first piece is there long before the last."""
    url = f"127.0.0.1:{port}/v1/completions"
    head = ["curl", "-sS", url, "-H", "Content-Type: application/json"]
    whole = json.loads(subprocess.run([*head, "-d", '{"prompt": "Once upon", "max_tokens": 400, "temperature": 0, "ignore_eos": true}'],
                                      capture_output=True, text=True, check=True).stdout)
    body = '{"prompt": "Once upon", "max_tokens": 400, "temperature": 0, "ignore_eos": true, "stream": true}'
    with subprocess.Popen([*head, "-N", "-d", body], stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        assert first.startswith("data: {") and process.poll() is None, first
        lines = [first, *process.stdout]
    events = [line.removeprefix("data: ").strip() for line in lines if line.startswith("data: ")]
    assert events[-1] == "[DONE]" and len(events) > 2, events[-3:]
    text = "".join(json.loads(event)["choices"][0]["text"] for event in events[:-1])
    assert text == whole["choices"][0]["text"]
    # As a form, which is what -d alone sends: a page could post it without asking first.
    answer = subprocess.run(["curl", "-sS", "-w", "%{http_code}", url, "-d", body], capture_output=True, text=True, check=True)
    assert answer.stdout.endswith("415"), answer
    print(f"curl: {len(events) - 1} pieces")


def dom(chromium, url, *flags):
    """What the page says in the end."""
    with tempfile.TemporaryDirectory() as profile:
        run = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
                              "--virtual-time-budget=20000", *flags, "--dump-dom", url], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


class Pages:
    """A web server of another origin: its only page asks our server."""

    def __init__(self, port):
        self._folder = tempfile.TemporaryDirectory()
        pathlib.Path(self._folder.name, "page.html").write_text(PAGE % port)
        handler = functools.partial(Quiet, directory=self._folder.name)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def check_pages(chromium):
    port = free_port()
    with Pages(port) as pages:
        page = f"{pages.origin}/page.html"
        with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432") as server:
            said = dom(chromium, page)
            assert "refused TypeError" in said, said
            assert server.metric_sum("dyad_http_requests_total", 'code="200"') == 0, "the page's request was answered"
            said = dom(chromium, f"http://evil.example:{port}/v1/models", "--host-resolver-rules=MAP evil.example 127.0.0.1")
            assert "owned_by" not in said, said
            assert server.metric_sum("dyad_http_requests_total", 'code="421"') >= 1, said
            # The same by our own name: it is not the browser that fails.
            assert "owned_by" in dom(chromium, f"http://127.0.0.1:{port}/v1/models")
        with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", f"--http_cors_origins={pages.origin}", "--kv_cache_bytes=33554432"):
            said = dom(chromium, page)
            assert "read 1 of " in said and "of null" not in said, said
    print("chromium: another origin is refused unless it is allowed; another name gets 421")


def main():
    port = free_port()
    if shutil.which("curl") is None:
        print("curl: SKIPPED: it is not installed (Debian: curl)")
    else:
        with Server({"demo": DEMO}, f"--http=127.0.0.1:{port}", "--kv_cache_bytes=33554432"):
            check_curl(port)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("chromium: SKIPPED: it is not installed (Debian: chromium)")
    else:
        check_pages(chromium)


if __name__ == "__main__":
    main()
