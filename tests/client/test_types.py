"""The JSDoc types of client and page hold, and a program in TypeScript can use what is made of them."""

import subprocess
from pathlib import Path

import pytest

from gateway.edge.static import load

HERE = Path(__file__).parent
PROGRAM = """
import { connect, type Message, type State } from "./client.js";

const gateway = connect("https://box:8443", {
  token: async (why) => (why === null ? "token" : null),
  onState: (state: State) => console.log(state.status, state.upstreams[0]?.retryAt),
});
const values: number[] = [];
const subscription = gateway.subscribe(
  ["sensors/#"],
  { mode: "latest", interval: 1, replay: { age: 60 }, readings: true, onGap: ({ count }) => console.log(count) },
  ({ topic, data, timestamp, readings }: Message) => {
    values.push(readings?.length ?? 0);
    console.log(topic, data, timestamp === null);
  },
);
subscription.close();
const { series } = await gateway.history({ topic: "a", from: 0, to: 1 });
const [time, low]: [number, number, number, number] = series[0];
await gateway.publish("a", { on: true }, { qos: 1 });
console.log(time + low, gateway.now() + 1);
// @ts-expect-error: there is no such mode
gateway.subscribe("a", { mode: "some" }, () => {});
"""


def tsc(*arguments: str, folder: Path = HERE) -> None:
    program = HERE / "node_modules" / ".bin" / "tsc"
    run = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.usefixtures("node")
def test_client_and_page_are_typed() -> None:
    tsc("-p", str(HERE))


@pytest.mark.usefixtures("node")
def test_a_program_in_typescript(tmp_path: Path) -> None:
    (tmp_path / "client.js").write_bytes(load()["/client.js"].content)
    common = ("--target", "es2022", "--module", "es2022", "--moduleResolution", "bundler", "--types", "")
    tsc(
        "--allowJs",
        "--declaration",
        "--emitDeclarationOnly",
        *common,
        "--outDir",
        "types",
        "client.js",
        folder=tmp_path,
    )
    (tmp_path / "client.js").unlink()
    (tmp_path / "client.d.ts").write_text((tmp_path / "types" / "client.d.ts").read_text())
    (tmp_path / "program.ts").write_text(PROGRAM)
    tsc("--strict", "--noEmit", *common, "program.ts", folder=tmp_path)
