"""Kubernetes: an indexed Job of shards, and a Job that merges them once all have ended."""

from __future__ import annotations

from collections.abc import Mapping

from suite.fleet.work import Work
from suite.fleet.yaml import Tree, text_of

FILE = "sweep.yaml"
MOUNT = "/sweep"
"""Where the volume is in each pod."""
RETRIES = 3
WAIT_S, LOOK_S = 48 * 3600, 30
"""The merge waits so long for the shards, and looks so often."""
HOST = {"machine-id": ("/etc/machine-id", "File"), "lock": ("/run/lock", "DirectoryOrCreate")}
"""What of the host a pod sees: by these it knows which machine it is on, and who measures there."""


def files(work: Work, image: str, claim: str, memory: str | None = None) -> dict[str, str]:
    """The manifest, by name. Kubernetes has no job that depends on another: the merge waits for files.

    Args:
        image: has the suite and bash. claim: a PersistentVolumeClaim that all pods can write to.
        memory: what each shard requests, such as ``16Gi``.
    """
    jobs = [_shards(work, image, claim, memory), _merge(work, image, claim)]
    return {FILE: "---\n".join(map(text_of, jobs))}


def _shards(work: Work, image: str, claim: str, memory: str | None) -> dict[str, Tree]:
    measure = work.shard_lines("$((JOB_COMPLETION_INDEX + 1))", "$NODE")
    ended = f"{work.folder}/ended"
    lines = [
        *measure[:-1],
        "status=0",
        f"{measure[-1]} || status=$?",
        f"mkdir -p {ended}",
        f'echo "$status" >{ended}/$number',
        'exit "$status"',
    ]
    pod = _pod(image, claim, lines, HOST, _resources(work, memory))
    # A shard of the CPU has its host for itself; where it shares it all the same, the lock makes it wait.
    alone: dict[str, Tree] = {
        "labelSelector": {"matchLabels": {"job": work.name}},
        "topologyKey": "kubernetes.io/hostname",
    }
    affinity: Tree = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alone]}}
    return _job(
        work.name,
        {
            "completionMode": "Indexed",
            "completions": work.shards,
            "parallelism": work.shards,
            "backoffLimitPerIndex": RETRIES,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    # A check that failed, or a request that can't be carried out, does so again.
                    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1, 2]}},
                ]
            },
        },
        pod if work.gpu else {**pod, "affinity": affinity},
    )


def _resources(work: Work, memory: str | None) -> dict[str, Tree]:
    asked: dict[str, Tree] = {}
    if "--threads" in work.options:
        asked["cpu"] = str(work.request.threads)
    if memory:
        asked["memory"] = memory
    limits: dict[str, Tree] = {**asked, **({"nvidia.com/gpu": "1"} if work.gpu else {})}
    return {"resources": {"requests": asked, "limits": limits}} if limits else {}


def _merge(work: Work, image: str, claim: str) -> dict[str, Tree]:
    ended = f"{work.folder}/ended"
    wait = [
        f"mkdir -p {ended}",
        f"for ((waited = 0; waited < {WAIT_S}; waited += {LOOK_S})); do",
        f'  if [ "$(ls {ended} | wc -l)" -ge {work.shards} ]; then break; fi',
        f"  sleep {LOOK_S}",
        "done",
    ]
    first, *more = work.last_lines()
    pod = _pod(image, claim, [first, *wait, *more], {}, {})
    return _job(f"{work.name}-merge", {"backoffLimit": 0}, pod)


def _pod(
    image: str, claim: str, lines: list[str], host: Mapping[str, tuple[str, str]], more: dict[str, Tree]
) -> dict[str, Tree]:
    container: dict[str, Tree] = {
        "name": "suite",
        "image": image,
        "command": ["/bin/bash", "-c", "\n".join(lines) + "\n"],
        "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "volumeMounts": [
            {"name": "sweep", "mountPath": MOUNT},
            *({"name": n, "mountPath": p, "readOnly": kind == "File"} for n, (p, kind) in host.items()),
        ],
        **more,
    }
    volumes: list[Tree] = [{"name": "sweep", "persistentVolumeClaim": {"claimName": claim}}]
    volumes += [{"name": n, "hostPath": {"path": p, "type": kind}} for n, (p, kind) in host.items()]
    return {"restartPolicy": "Never", "containers": [container], "volumes": volumes}


def _job(name: str, spec: dict[str, Tree], pod: dict[str, Tree]) -> dict[str, Tree]:
    template: Tree = {"metadata": {"labels": {"job": name}}, "spec": pod}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**spec, "template": template},
    }
