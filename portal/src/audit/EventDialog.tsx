import { Button, Group, Modal, Skeleton } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { DashboardDocument } from "../dashboard/document";
import { restoreDeleted } from "../dashboard/trash";
import { versionQuery } from "../dashboard/version";
import { compare, inWords } from "../dashboard/words";
import { tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { exact } from "../ui/When";
import css from "./EventDialog.module.css";
import type { AuditEvent } from "./event";

interface EventDialogProps {
  event: AuditEvent;
  onClose: () => void;
  onFilter: (key: string, value: string) => void;
}

/** An entry of the log with all that is known about it. */
export function EventDialog({ event, onClose, onFilter }: EventDialogProps) {
  const target = event.targets[0];
  const fields: [string, ReactNode, (() => void)?][] = [
    ["When", `${exact(event.occurredAt)} (${event.occurredAt})`],
    ["Who", `${event.actor.login} (${event.actor.type} ${event.actor.id})`, () => onFilter("actor", event.actor.login)],
    ["Did what", event.action, () => onFilter("action", event.action)],
    [
      "To what",
      target &&
        [target.name, `${target.type}/${target.uid}`, target.version && `version ${target.version}`]
          .filter(Boolean)
          .join(", "),
      target && (() => onFilter("target", `${target.type}/${target.uid}`)),
    ],
    ["Outcome", event.outcome, () => onFilter("outcome", event.outcome)],
    ["Reason", event.access?.reason],
    ["Request", [event.access?.method, event.access?.route].filter(Boolean).join(" ")],
    ["How often", event.access?.count],
    ["From", event.context.ip],
    ["Client", event.context.userAgent],
    ["Logged in by", event.authMethod],
    ["Token", event.tokenId],
    ["Request id", event.requestId],
    ["Correlation id", event.correlationId],
    ["Trace", event.traceId, () => onFilter("trace", event.traceId)],
    ["Entry", `${event.id} (schema version ${event.schemaVersion})`],
  ];
  return (
    <Modal opened onClose={onClose} size="lg" title={event.action}>
      <div className={ui.stack}>
        <DashboardChange event={event} onClose={onClose} />
        <dl className={css.fields}>
          {fields
            .filter(([, value]) => value !== undefined && value !== null && value !== "")
            .map(([label, value, filter]) => (
              <div key={label}>
                <dt>{label}</dt>
                <dd>
                  <bdi>{value}</bdi>
                  {filter !== undefined && (
                    <Button
                      size="compact-xs"
                      variant="subtle"
                      aria-label={`Only these: ${label}`}
                      onClick={() => {
                        filter();
                        onClose();
                      }}
                    >
                      Only these
                    </Button>
                  )}
                </dd>
              </div>
            ))}
        </dl>
      </div>
    </Modal>
  );
}

/** What an entry changed of a dashboard, and the way back. */
function DashboardChange({ event, onClose }: { event: AuditEvent; onClose: () => void }) {
  const target = event.targets[0];
  const navigate = useNavigate();
  const queries = useQueryClient();
  const version = target?.version ?? 0;
  const isSave =
    target?.type === "dashboard" && event.outcome === "success" && version > 1 && event.action !== "dashboard.deleted";
  const uid = target?.uid ?? "";
  const before = useQuery({ ...versionQuery(uid, version - 1), enabled: isSave, retry: false });
  const after = useQuery({ ...versionQuery(uid, version), enabled: isSave, retry: false });
  if (event.action === "dashboard.deleted" && event.outcome === "success") {
    return (
      <Group>
        <Button
          onClick={() => {
            restoreDeleted(uid)
              .then(() => {
                tellDone("Restored from the trash");
                onClose();
                return queries.invalidateQueries();
              })
              .catch(tellProblem);
          }}
        >
          Undo: restore the dashboard
        </Button>
      </Group>
    );
  }
  if (!isSave || before.isError || after.isError) return null;
  if (before.data === undefined || after.data === undefined) return <Skeleton height={64} />;
  const words = inWords(compare(before.data.data as DashboardDocument, after.data.data as DashboardDocument));
  return (
    <div className={css.change}>
      <strong>What changed</strong>
      <ul>
        {words.slice(0, 12).map((word) => (
          <li key={word}>
            <bdi>{word}</bdi>
          </li>
        ))}
        {words.length === 0 && <li>Nothing that is shown</li>}
        {words.length > 12 && <li>and {words.length - 12} more</li>}
      </ul>
      <Button
        size="xs"
        onClick={() =>
          void navigate({ to: "/dashboards/$uid/compare", params: { uid }, search: { from: version - 1, to: version } })
        }
      >
        See before and after, or undo
      </Button>
    </div>
  );
}
