#!/bin/sh
# Init of the User-Mode Linux that runs the gateway as the systemd service it ships, on a copy of this machine's file
# system that is gone afterwards. It serves one warrior, who has to come back once.
. "${0%/*}/uml.sh"

mkdir $D/up $D/work
N=/mnt
mount -t overlay overlay -o lowerdir=/,upperdir=$D/up,workdir=$D/work $N
dist=${0%/*}/../dist/systemd
# What files are renamed in must be able to sync; and none of this machine's own services.
mount -t tmpfs etc $N/etc; cp -a /etc/. $N/etc/
rm -rf $N/etc/systemd/system; mkdir $N/etc/systemd/system
for unit in systemd-udevd systemd-udev-trigger systemd-tmpfiles-clean; do ln -s /dev/null $N/etc/systemd/system/$unit.service; done
mount -t tmpfs tmp $N/tmp
# To systemd this is a machine, wherever it runs, and not the container it may run in.
rm -f $N/.dockerenv

# As docs/install.md has it.
install -m 755 "$GATEWAY" $N/usr/bin/gateway
install -m 644 $dist/roadwarrior.service $N/etc/systemd/system/
for kind in sysusers tmpfiles; do install -D -m 644 $dist/roadwarrior.$kind $N/usr/lib/$kind.d/roadwarrior.conf; done
install -D -m 644 $dist/roadwarrior.sysctl $N/usr/lib/sysctl.d/50-roadwarrior.conf
systemd-sysusers --root=$N roadwarrior.conf
systemd-tmpfiles --root=$N --create roadwarrior.conf
install -m 600 /dev/null $N/etc/roadwarrior/psk; echo "$PSK" > $N/etc/roadwarrior/psk
cat > $N/etc/roadwarrior/office.toml <<X
[[psk]]
peer = "any"
secret_credential = "psk"
[ppp]
local = "192.168.30.1"
dns = ["$TEST_HOST"]
[pool]
range = "192.168.30.100-192.168.30.110"
[lan]
networks = ["$TEST_HOST/32"]
[[user]]
name = "$PPP_USER"
password = "$PPP_PASSWORD"
X
chroot $N chown root:roadwarrior /etc/roadwarrior/office.toml; chmod 640 $N/etc/roadwarrior/office.toml

# Its log is to be seen from outside.
mkdir $N/etc/systemd/system/roadwarrior.service.d
printf '[Service]\nStandardOutput=journal+console\nStandardError=journal+console\n' > $N/etc/systemd/system/roadwarrior.service.d/log.conf

# Wherever these lie, which may be under the /tmp of before.
cp "${0%/*}/service-check.sh" "$TRANSFER" $N/etc/
{ cat "$CLIENT_ENV"; echo 'TRANSFER="/etc/transfer.py"'; } > $N/etc/service.env
cat > $N/etc/systemd/system/check.service <<X
[Service]
Type=oneshot
EnvironmentFile=/etc/service.env
ExecStart=/bin/sh /etc/service-check.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
X
cat > $N/etc/systemd/system/check.target <<X
[Unit]
Requires=roadwarrior.service check.service
X
ln -s check.target $N/etc/systemd/system/default.target
exec switch_root $N /usr/lib/systemd/systemd systemd.show_status=0 systemd.log_level=notice
