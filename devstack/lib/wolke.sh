# Wolke's own processes. Sourced by stack.sh.
# shellcheck shell=bash
wolke_services() { :; }
wolke_up() { :; }
