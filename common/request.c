/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names and form checks of requests and identities. It looks nothing up.
 */
#include "request.h"

#include "util.h"

static const char *const exposures[EXPOSURE_MAX_] = {
	[EXPOSURE_UNKNOWN] = "unknown",
	[EXPOSURE_SHARED] = "shared",
	[EXPOSURE_PRIVATE] = "private",
	[EXPOSURE_PROTECTED] = "protected",
	[EXPOSURE_EMULATED] = "emulated",
};

const char *transport_name(enum transport transport)
{
	return transport == TRANSPORT_DBUS ? "dbus" : "socket";
}

const char *exposure_name(enum exposure exposure)
{
	return exposures[exposure];
}

int exposure_from_name(const char *name)
{
	for (int i = 0; i < EXPOSURE_MAX_; i++)
		if (streq(exposures[i], name))
			return i;
	return -1;
}

bool use_name_valid(const char *untrusted_name)
{
	size_t length = strlen(untrusted_name);

	if (length < 1 || length > USE_NAME_MAX)
		return false;
	if (untrusted_name[0] == '-' || untrusted_name[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)untrusted_name[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

bool label_valid(const char *untrusted_label)
{
	size_t length = strlen(untrusted_label);

	if (length > LABEL_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (untrusted_label[i] < 0x20 || untrusted_label[i] > 0x7e)
			return false;
	return true;
}

void identity_done(struct identity *identity)
{
	free(identity->groups);
	free(identity->exe);
	free(identity->unit);
	free(identity->slice);
	free(identity->cgroup);
	free(identity->lsm);
	*identity = (struct identity){ 0 };
}
