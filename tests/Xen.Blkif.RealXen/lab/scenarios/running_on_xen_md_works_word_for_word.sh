# The document's shell commands, as they stand there: a guest boots from our disk, to a shell.
sed -n '/^```sh$/,/^```$/p' /run/load/running-on-xen.md | grep -v '^```' >/run/document.sh
grep -q 'xl create' /run/document.sh
bash -x /run/document.sh
if xl domid web 2>/dev/null; then fail "the guest of the document is still there"; fi
