/**
 * Requests about domains, quotas and the store itself.
 *
 * @source docs/misc/xenstore.txt, tools/xenstored/domain.c, control.c
 */
import { DOMID_FIRST_RESERVED, DOMID_SELF, XS } from '../../abi';
import { type Answer, failed, isError, OK, onlyString, stringsOf, toNumber, type XsError } from './errors';
import { SUPPORTED_FEATURES } from './features';
import { domainPath } from './paths';
import { isQuotaName, QUOTA_NAMES } from './quotas';
import type { Call, RequestKind } from './requests';

const privileged = true;

export const DOMAIN_REQUESTS: readonly (readonly [number, RequestKind])[] = [
  [XS.XS_CONTROL, { serve: control, privileged }],
  [XS.XS_INTRODUCE, { serve: introduce, privileged }],
  [XS.XS_RELEASE, { serve: release, privileged }],
  [XS.XS_GET_DOMAIN_PATH, { serve: getDomainPath }],
  [XS.XS_IS_DOMAIN_INTRODUCED, { serve: isDomainIntroduced, privileged }],
  [XS.XS_RESUME, { serve: resume, privileged }],
  [XS.XS_SET_TARGET, { serve: setTarget, privileged }],
  [XS.XS_GET_FEATURE, { serve: getFeature, privileged }],
  [XS.XS_SET_FEATURE, { serve: setFeature, privileged }],
  [XS.XS_GET_QUOTA, { serve: getQuota, privileged }],
  [XS.XS_SET_QUOTA, { serve: setQuota, privileged }],
];

/** A domain the store talks to, by its number as text; the control domain's own number is none. */
function domainOf({ store }: Call, text: string | undefined): number | { readonly error: XsError } {
  const id = toNumber(text);
  if (id === undefined || id === 0 || id >= DOMID_FIRST_RESERVED) return { error: 'EINVAL' };
  return store.clients.has(id) ? id : { error: 'ENOENT' };
}

function introduce({ store, toolstack, payload }: Call): Answer {
  const [domain, frame, evtchn] = stringsOf(payload).map(toNumber);
  if (domain === undefined || frame === undefined || evtchn === undefined) return failed('EINVAL');
  if (domain === 0 || domain >= DOMID_FIRST_RESERVED || evtchn === 0) return failed('EINVAL');
  const introduced = toolstack.introduce(domain, frame, evtchn);
  if (isError(introduced)) return introduced;
  if (introduced.isNew) store.fireSpecial('@introduceDomain');
  return OK;
}

function release(call: Call): Answer {
  const { store, toolstack, client, payload } = call;
  const id = domainOf(call, onlyString(payload));
  if (isError(id)) return id;
  // Nobody would see the answer.
  if (id === client.id) return failed('EINVAL');
  toolstack.disconnect(id);
  store.forget(id);
  store.fireSpecial('@releaseDomain');
  return OK;
}

function getDomainPath({ payload }: Call): Answer {
  const id = toNumber(onlyString(payload));
  return id === undefined ? failed('EINVAL') : { payload: `${domainPath(id)}\0` };
}

function isDomainIntroduced({ store, payload }: Call): Answer {
  const id = toNumber(onlyString(payload));
  if (id === undefined) return failed('EINVAL');
  return { payload: id === 0 || id === DOMID_SELF || store.clients.has(id) ? 'T\0' : 'F\0' };
}

function resume(call: Call): Answer {
  const id = domainOf(call, onlyString(call.payload));
  if (isError(id)) return id;
  call.toolstack.resume(id);
  return OK;
}

function setTarget(call: Call): Answer {
  const [text, target, ...more] = stringsOf(call.payload);
  if (target === undefined || more.length > 0) return failed('EINVAL');
  const id = domainOf(call, text);
  const targetId = domainOf(call, target);
  if (isError(id)) return id;
  if (isError(targetId)) return targetId;
  const client = call.store.clients.get(id);
  if (client !== undefined) client.target = targetId;
  return OK;
}

function getFeature(call: Call): Answer {
  if (call.payload === '') return { payload: `${SUPPORTED_FEATURES}\0` };
  const id = domainOf(call, onlyString(call.payload));
  return isError(id) ? id : { payload: `${call.toolstack.features(id)}\0` };
}

function setFeature(call: Call): Answer {
  const [domain, value, ...more] = stringsOf(call.payload);
  const features = toNumber(value);
  if (features === undefined || more.length > 0 || (features & ~SUPPORTED_FEATURES) !== 0) return failed('EINVAL');
  const id = domainOf(call, domain);
  if (isError(id)) return id;
  call.toolstack.setFeatures(id, features);
  return OK;
}

function getQuota(call: Call): Answer {
  const { quotas } = call.store;
  if (call.payload === '') return { payload: `${QUOTA_NAMES.join(' ')}\0` };
  const parts = stringsOf(call.payload);
  const name = parts.pop();
  if (!isQuotaName(name) || parts.length > 1) return failed('EINVAL');
  if (parts.length === 0) return { payload: `${quotas.get(name)}\0` };
  const id = domainOf(call, parts[0]);
  return isError(id) ? id : { payload: `${quotas.get(name, id)}\0` };
}

function setQuota(call: Call): Answer {
  const { quotas } = call.store;
  const parts = stringsOf(call.payload);
  const value = toNumber(parts.pop());
  const name = parts.pop();
  if (value === undefined || !isQuotaName(name) || parts.length > 1) return failed('EINVAL');
  const id = parts.length === 0 ? undefined : domainOf(call, parts[0]);
  if (isError(id)) return id;
  quotas.set(name, value, id);
  return OK;
}

function control({ store, toolstack, payload }: Call): Answer {
  const [command, text, ...more] = stringsOf(payload);
  if (command === 'help' && text === undefined) return { payload: 'check help print\0' };
  if (command === 'check' && text === undefined) return store.isConsistent() ? OK : failed('EIO');
  if (command !== 'print' || text === undefined || more.length > 0) return failed('EINVAL');
  toolstack.print(text);
  return OK;
}
