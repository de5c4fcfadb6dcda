/* smcmove URL SRC DST      one MOVE MEDIUM through a changer over iSCSI
 * smcmove URL              inventory: READ ELEMENT STATUS with volume tags
 * cc -O2 -o smcmove smcmove.c -liscsi                                        */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

static struct iscsi_context *ic;
static int lun;

static struct scsi_task *cmd(unsigned char *cdb, int n, int dir, int len)
{
	for (int try = 0;; try++) {
		struct scsi_task *t = scsi_create_task(n, cdb, dir, len);
		if (!t || !iscsi_scsi_command_sync(ic, lun, t, NULL)) {
			fprintf(stderr, "transport: %s\n", iscsi_get_error(ic));
			exit(2);
		}
		/* power on / reset / medium changed: once told, ask again */
		if (t->status == SCSI_STATUS_CHECK_CONDITION &&
		    t->sense.key == SCSI_SENSE_UNIT_ATTENTION && try < 8) {
			scsi_free_scsi_task(t);
			continue;
		}
		return t;
	}
}

static int bad(struct scsi_task *t)
{
	if (t->status == SCSI_STATUS_GOOD)
		return 0;
	fprintf(stderr, "status %d sense %x/%04x (%s)\n", t->status,
		t->sense.key, t->sense.ascq,
		scsi_sense_ascq_str(t->sense.ascq));
	return 1;
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: smcmove URL [SRC DST]\n");
		return 2;
	}
	ic = iscsi_create_context("iqn.2024-01.local.rig:smcmove");
	struct iscsi_url *u = iscsi_parse_full_url(ic, argv[1]);
	if (!u) {
		fprintf(stderr, "%s\n", iscsi_get_error(ic));
		return 2;
	}
	lun = u->lun;
	iscsi_set_targetname(ic, u->target);
	iscsi_set_session_type(ic, ISCSI_SESSION_NORMAL);
	if (iscsi_full_connect_sync(ic, u->portal, lun)) {
		fprintf(stderr, "%s\n", iscsi_get_error(ic));
		return 2;
	}
	int rc = 0;
	if (argc == 4) {
		int s = atoi(argv[2]), d = atoi(argv[3]);
		unsigned char c[12] = {0xa5, 0, 0, 0, s >> 8, s, d >> 8, d};
		struct scsi_task *t = cmd(c, 12, SCSI_XFER_NONE, 0);
		rc = bad(t);
		scsi_free_scsi_task(t);
	} else {
		/* one request per element type: tgt 1.0.85 answers "all types"
		 * with pages whose counts do not add up; and it cuts the last
		 * 8 bytes off every answer, so ask a descriptor only for the
		 * 44 bytes that are used here */
		static const char *ty[] = {"", "picker", "slot", "io", "drive"};
		for (int k = 1; k <= 4 && !rc; k++) {
			unsigned char c[12] = {0xb8, 0x10 | k, 0, 0,	0xff,
					       0xff, 0,	       0, 0xff, 0xff};
			struct scsi_task *t = cmd(c, 12, SCSI_XFER_READ, 65535);
			if (!(rc = bad(t)) && t->datain.size >= 16) {
				unsigned char *p = t->datain.data,
					      *e = p + t->datain.size;
				int el = p[10] << 8 | p[11],
				    n = p[2] << 8 | p[3];
				for (p += 16; n-- && el && p + 44 <= e; p += el)
					printf("%-6s %5d %s%s %.*s\n", ty[k],
					       p[0] << 8 | p[1],
					       p[2] & 1 ? "full" : "empty",
					       p[2] & 4 ? " EXCEPT" : "",
					       p[2] & 1 ? 32 : 0,
					       (char *)p + 12);
			}
			scsi_free_scsi_task(t);
		}
	}
	iscsi_logout_sync(ic);
	iscsi_destroy_context(ic);
	return rc;
}
