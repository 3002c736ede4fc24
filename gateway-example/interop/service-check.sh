# Run in the User-Mode Linux of service-init.sh once systemd is up: what becomes of the service.
sessions() { gateway status --json 2>/dev/null | grep -Eo '"l2tp_sessions": ?[0-9]+' | grep -Eo '[0-9]+$'; }
# within SECONDS COMMAND...
within() { n=$(($1 * 4)); shift; while ! "$@" && [ $n -gt 0 ]; do sleep 0.25; n=$((n-1)); done; "$@"; }
sessions_are() { [ "$(sessions)" = "$1" ]; }
transferring() { ss -Htn state established "sport = :5001" | grep -q .; }
pid() { systemctl show -P MainPID roadwarrior; }

ip addr add $TEST_HOST/32 dev lo
"$PYTHON" "$TRANSFER" serve $TEST_HOST 5001 >/dev/null 2>&1 &
within 30 systemctl is-active -q roadwarrior
echo "RESULT serving=$? as=$(ps -o user:20= -p "$(pid)" | tr -d ' ')"
within 60 sessions_are 1; echo "RESULT first=$?"
# The warrior's transfer comes first.
within 30 transferring; within 60 eval '! transferring'
systemctl reload roadwarrior; echo "RESULT reload=$?"
sleep 1
sessions_are 1; echo "RESULT after_reload=$?"
before=$(pid)
kill -9 "$before"
within 60 sessions_are 1; echo "RESULT after_kill=$?"
[ "$(pid)" != "$before" ]; echo "RESULT restarted=$?"
within 120 sessions_are 0; echo "RESULT gone=$?"
systemctl stop roadwarrior
echo "RESULT stopped=$(systemctl show -P Result roadwarrior) left=$(ls /run/roadwarrior 2>/dev/null | wc -l)"
journalctl -o cat -u roadwarrior 2>/dev/null | tail -n "$LOG_LINES"
poweroff -f
