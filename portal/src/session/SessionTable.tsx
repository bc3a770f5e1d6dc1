import { Badge, Button } from "@mantine/core";
import { useMemo } from "react";
import type { paths } from "../api/schema";
import { type Column, DataTable } from "../ui/DataTable";
import { Empty } from "../ui/Page";
import { When } from "../ui/When";

/** A session of a user. */
export type Session = paths["/api/user/auth-tokens"]["get"]["responses"]["200"]["content"]["application/json"][number];

/** Sessions, each of which can be ended. */
export function SessionTable({
  sessions,
  onRevoke,
}: {
  sessions: Session[] | undefined;
  onRevoke: (session: Session) => void;
}) {
  const columns = useMemo(
    (): Column<Session>[] => [
      {
        id: "client",
        header: "Where",
        cell: (session) => (
          <>
            {[session.browser, session.os].filter(Boolean).join(" on ") || "Unknown client"}{" "}
            {session.isActive && (
              <Badge variant="light" tt="none" ml={4}>
                this session
              </Badge>
            )}
          </>
        ),
      },
      { id: "ip", header: "Address", isWideOnly: true, cell: (session) => session.clientIp },
      { id: "seen", header: "Last seen", cell: (session) => <When time={session.seenAt} /> },
      { id: "created", header: "Since", isWideOnly: true, cell: (session) => <When time={session.createdAt} /> },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (session) =>
          !session.isActive && (
            <Button size="compact-sm" variant="subtle" color="red" onClick={() => onRevoke(session)}>
              End
            </Button>
          ),
      },
    ],
    [onRevoke],
  );
  return (
    <DataTable
      label="Sessions"
      columns={columns}
      rows={sessions}
      rowId={(session) => String(session.id)}
      empty={<Empty title="No sessions">Nobody is logged in.</Empty>}
    />
  );
}
