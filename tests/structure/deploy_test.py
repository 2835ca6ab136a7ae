#!/usr/bin/env python3
"""The manifests name each other and their ports; README.md says which peers the gRPC port is for."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy" / "kubernetes" / "base"


def faults():
    """What is wrong, as messages."""
    listed = re.search(r"resources:\n((?:  - .*\n)+)", (BASE / "kustomization.yaml").read_text()).group(1)
    listed = set(re.findall(r"- (\S+)", listed))
    there = {path.name for path in BASE.glob("*.yaml")} - {"kustomization.yaml"}
    if listed != there:
        yield f"kustomization.yaml lists {sorted(listed)}; there are {sorted(there)}"
    deployment = (BASE / "deployment.yaml").read_text()
    ports = set(re.findall(r"- name: (\w+)\n\s+containerPort", deployment))
    policy = (BASE / "network_policy.yaml").read_text()
    allowed = set(re.findall(r"- port: (\w+)", policy))
    if allowed != ports:
        yield f"network_policy.yaml speaks of the ports {sorted(allowed)}; the pods have {sorted(ports)}"
    if "kind: NetworkPolicy" not in policy or "policyTypes: [Ingress]" not in policy:
        yield "network_policy.yaml is no policy for ingress"
    readme = (ROOT / "README.md").read_text()
    security = readme[readme.find("## Security"):].split("\n## ")[0] if "## Security" in readme else ""
    for word in ("CVE-2023-33953", "CVE-2023-4785", "--tls_ca", "--max_connections", "NetworkPolicy", "proxy"):
        if word not in security:
            yield f'README.md, "Security" does not speak of {word}'


def main():
    found = list(faults())
    print("\n".join(found + [f"deploy: {len(found)} faults"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
