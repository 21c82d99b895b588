/** See scenarios/broadcast-tree.ts and storm.ts. */
import { stormCampaign } from '../storm';

export const campaign = stormCampaign(
  'broadcast-tree',
  'waves through a tree of vCPUs that sleep in between: each edge is handled once, no send is lost',
);
