import { Button, Modal } from "@mantine/core";
import { type ReactNode, useState } from "react";
import ui from "../ui/ui.module.css";
import { exact } from "../ui/When";
import { EventChange } from "./EventChange";
import css from "./EventDialog.module.css";
import type { AuditEvent } from "./entries";

interface EventDialogProps {
  event: AuditEvent;
  onClose: () => void;
  onFilter: (key: string, value: string) => void;
}

/** An entry of the log with all that is known about it. */
export function EventDialog({ event, onClose, onFilter }: EventDialogProps) {
  const [isWide, setWide] = useState(false);
  const target = event.targets[0];
  const fields: [string, ReactNode, (() => void)?][] = [
    ["When", `${exact(event.occurredAt)} (${event.occurredAt})`],
    ["Who", `${event.actor.login} (${event.actor.type} ${event.actor.id})`, () => onFilter("actor", event.actor.login)],
    ["Did what", event.action, () => onFilter("action", event.action)],
    [
      "To what",
      target &&
        [target.name, `${target.type}/${target.uid}`, target.version && `change ${target.version} of its history`]
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
    <Modal opened onClose={onClose} size={isWide ? "80rem" : "lg"} title={event.action}>
      <div className={ui.stack}>
        <EventChange event={event} onClose={onClose} onWide={() => setWide(true)} />
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
