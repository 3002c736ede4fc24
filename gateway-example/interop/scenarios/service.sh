# Sourced by run: the gateway as the service of systemd that it ships.

scenario service "the systemd unit: sandboxed, ready, reloaded, killed and started again, stopped"
scenario_service() {
    uml service TEST_HOST=192.168.30.5 GATEWAY="$GATEWAY" &
    local uml_pid=$!
    wait_for 60 "the service is ready" grep -q '^RESULT serving=0' "$W/service.log" || return
    if SERVER=192.168.77.2 warrior_up 192.168.30.0/24; then
        in_ns rw timeout 120 "$PYTHON" "$HERE/transfer.py" run 192.168.30.5 5001 5 > "$W/transfer.log" 2>&1 \
            || problem "transfer failed: $(tail -1 "$W/transfer.log")"
        wait_for 90 "gateway connect is back" eval '[ "$(grep -c "^connected address=" "$W/warrior.log")" = 2 ]'
        in_ns rw ping -c 3 -w 10 192.168.30.5 > "$W/ping.log" 2>&1 || problem "ping failed after the restart"
        # It looks every now and then, and two seconds of a session could pass unseen.
        wait_for 30 "the service has looked" grep -q '^RESULT after_kill' "$W/service.log"
    fi
    warrior_down
    wait $uml_pid
    expect "serving=0 as=roadwarrior" service
    for what in first reload after_reload after_kill restarted gone; do expect "$what=0" service; done
    expect "stopped=success left=0" service
}
