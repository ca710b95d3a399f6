#!/usr/bin/env bash
#
# GLib 2.74's GTimeZone, given the time zone files that PyPI's tzdata ships, puts Dublin two hours ahead of UTC in winter, where
# it is at UTC. Other zones are right. Ireland's rule has "negative" daylight saving (standard time is that of the summer), and
# these files, unlike Debian's, end in a rule in the place of a list of all changes up to 2037; GLib reads the rule's sign
# wrongly. With Debian's files the same happens from 2038 on. Whoever chose GTimeZone in the place of a reader of his own
# would be an hour or two off, for one country, in half of the year.
#
# Seen (Debian's libglib2.0-0 2.74.6, tzdata 2025.2 of PyPI, Python 3.11 for what is right):
#   Europe/Dublin 2024-01: 7200, right 0
#   Europe/Dublin 2024-07: 3600, right 3600
#   Europe/London 2024-01: 0, right 0
#   Europe/London 2024-07: 3600, right 3600

set -euo pipefail
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
chmod 755 "$work" && cd "$work"
apt-get download --quiet=2 libglib2.0-0 2>/dev/null
dpkg-deb --extract libglib2.0-0_*.deb glib
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check tzdata==2025.2
cat >seen.py <<'PY'
import ctypes
import datetime
import glob
import zoneinfo

UTC_TIME = 2
glib = ctypes.CDLL(glob.glob("glib/usr/lib/*/libglib-2.0.so.0.7400.*")[0])
glib.g_time_zone_new_identifier.restype = ctypes.c_void_p
glib.g_time_zone_new_identifier.argtypes = [ctypes.c_char_p]
glib.g_time_zone_find_interval.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64]
glib.g_time_zone_get_offset.argtypes = [ctypes.c_void_p, ctypes.c_int]
for name in ("Europe/Dublin", "Europe/London"):
    zone = glib.g_time_zone_new_identifier(name.encode())
    for month in (1, 7):
        instant = datetime.datetime(2024, month, 15, tzinfo=datetime.timezone.utc)
        interval = glib.g_time_zone_find_interval(zone, UTC_TIME, int(instant.timestamp()))
        right = instant.astimezone(zoneinfo.ZoneInfo(name)).utcoffset()
        print(f"{name} {instant:%Y-%m}: {glib.g_time_zone_get_offset(zone, interval)}, right {right.seconds}")
PY
TZDIR=$(echo "$work"/venv/lib/python3*/site-packages/tzdata/zoneinfo) venv/bin/python seen.py | tee seen
diff - seen <<'SEEN'
Europe/Dublin 2024-01: 7200, right 0
Europe/Dublin 2024-07: 3600, right 3600
Europe/London 2024-01: 0, right 0
Europe/London 2024-07: 3600, right 3600
SEEN
