#!/bin/sh
# Runs tests/kernel.rs on a kernel that has cgroups of version 2 only: Debian's cloud kernel in a
# guest, with busybox for everything else. Emulated, it takes some seven minutes, so that it is a
# command of its own. Needs Debian's qemu-system-x86 and busybox-static. Arguments choose tests by
# parts of their names.
set -eu
cd "$(dirname "$0")/../../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

program=$(cargo test -p tepui-containerizer --test kernel --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*\/kernel-[^"]*\)".*/\1/p' | tail -n 1)
cd "$folder"
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image[^ ]*\)/\1/p')
apt-get download "$kernel" >/dev/null
dpkg -x "$kernel"_*.deb kernel

mkdir -p root/bin root/dev root/etc root/proc root/sys root/tmp root/usr/bin
for name in $(busybox --list); do
    ln -s busybox "root/bin/$name" 2>/dev/null || true
done
rm -f root/bin/busybox
cp "$(command -v busybox)" root/bin/busybox
ln -s ../../bin/busybox root/usr/bin/env
cp "$program" root/kernel
strip root/kernel
for library in $(ldd "$program" | grep -o '/[^ ]*'); do
    mkdir -p "root/$(dirname "$library")"
    cp -L "$library" "root/$library"
done
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >root/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >root/etc/group
printf '127.0.0.1 localhost\n' >root/etc/hosts
cat >root/init <<'END'
#!/bin/sh
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
/kernel $(sed -n 's/.*tests=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ') 2>&1
echo "exit status $?"
poweroff -f
END
chmod +x root/init
(cd root && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1 >../initrd)

tests=$(echo "$@" | tr ' ' ,)
qemu-system-x86_64 -m 3000 -smp 2 -nographic -no-reboot -initrd initrd \
    -kernel kernel/boot/vmlinuz-* \
    -append "console=ttyS0 quiet panic=-1 tests=$tests" | tee output
grep -q 'exit status 0' output
