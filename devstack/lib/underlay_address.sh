#!/bin/bash
# underlay_address.sh NAMESPACE ADDRESS MTU: wait for the switch's br-phy, then give it its address and MTU.
set -uo pipefail
for _ in $(seq 3000); do
    if ip -n "$1" link set br-phy mtu "$3" up 2>/dev/null && ip -n "$1" addr replace "$2" dev br-phy 2>/dev/null; then exit 0; fi
    sleep 0.1
done
echo "br-phy did not appear in $1" >&2
