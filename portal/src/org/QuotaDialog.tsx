import { Modal, NumberInput, Skeleton } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import type { components } from "../api/schema";
import { askIfChanged } from "../ui/askIfChanged";
import { Empty } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { areSwitchedOff, type Quota, quotasQuery, readQuotas, setQuota } from "./quota";

type Org = components["schemas"]["OrgBody"];

/** What an org may have, each limit of which can be changed. */
export function QuotaDialog({ org, onClose }: { org: Org; onClose: () => void }) {
  const quotas = useQuery(quotasQuery(org.id));
  return (
    <Modal
      opened
      onClose={onClose}
      title={
        <>
          Quotas of <bdi>{org.name.slice(0, 80)}</bdi>
        </>
      }
    >
      {quotas.isPending && <Skeleton height={320} />}
      {quotas.isError &&
        (areSwitchedOff(quotas.error) ? (
          <Empty title="Quotas are switched off">
            Nothing is limited. The setting <code>[quota] enabled</code> of the server switches them on.
          </Empty>
        ) : (
          <ProblemBox error={quotas.error} onRetry={() => void quotas.refetch()} />
        ))}
      {quotas.data !== undefined && (
        <div className={ui.stack}>
          <span className={ui.dim}>-1 means no limit. What is there already stays, even above a new limit.</span>
          {quotas.data.map((quota) => (
            // A limit that the server did not take is shown as it is again, hence the key.
            <Limit key={`${quota.target} ${quotas.dataUpdatedAt}`} orgId={org.id} quota={quota} />
          ))}
        </div>
      )}
    </Modal>
  );
}

function Limit({ orgId, quota }: { orgId: number; quota: Quota }) {
  const queries = useQueryClient();
  const label = quota.target.replaceAll("_", " ");
  async function save(limit: number) {
    try {
      const now = (await readQuotas(orgId)).find(({ target }) => target === quota.target)?.limit ?? quota.limit;
      const isWanted = await askIfChanged([
        { what: `Limit of ${label}`, shown: String(quota.limit), now: String(now) },
      ]);
      if (isWanted) {
        await setQuota(orgId, quota.target, limit);
        tellDone(`Quota of ${label} saved`);
      }
    } catch (error) {
      tellProblem(error);
    }
    await queries.invalidateQueries({ queryKey: ["quotas"] });
  }
  return (
    <NumberInput
      label={label}
      description={`${quota.used.toLocaleString("en")} in use`}
      defaultValue={quota.limit}
      min={-1}
      allowDecimal={false}
      onBlur={(event) => {
        const { value } = event.currentTarget;
        const limit = Number(value);
        if (value !== "" && Number.isInteger(limit) && limit !== quota.limit) void save(limit);
      }}
      onKeyDown={(event) => {
        if (event.key === "Enter") event.currentTarget.blur();
      }}
    />
  );
}
