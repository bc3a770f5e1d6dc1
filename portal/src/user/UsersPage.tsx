import { ActionIcon, Badge, Button, Group, Menu, Modal, Pagination, PasswordInput, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import { type Session, SessionTable } from "../session/SessionTable";
import { useMe } from "../session/session";
import { confirm } from "../ui/confirm";
import { type Column, DataTable } from "../ui/DataTable";
import { FormDialog } from "../ui/FormDialog";
import { DotsIcon, PlusIcon, SearchIcon } from "../ui/icons";
import { Address, Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { When } from "../ui/When";

type User = components["schemas"]["UserHitBody"];

const PAGE = 50;

type Dialog = { kind: "create" } | { kind: "password" | "sessions"; user: User };

/** All users of the server. */
export function UsersPage() {
  const queries = useQueryClient();
  const me = useMe();
  const [typed, setTyped] = useState("");
  const [wanted] = useDebouncedValue(typed.trim(), 100);
  const [page, setPage] = useState(1);
  const [dialog, setDialog] = useState<Dialog>();
  const found = useQuery({
    queryKey: ["users", wanted, page],
    queryFn: ({ signal }) =>
      of(client.GET("/api/users/search", { params: { query: { query: wanted, page, perpage: PAGE } }, signal })),
    placeholderData: keepPreviousData,
  });
  const total = found.data?.totalCount ?? 0;
  const act = useCallback(
    async (work: () => Promise<unknown>, done: string) => {
      try {
        await work();
        tellDone(done);
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries();
    },
    [queries],
  );
  const ownId = me.profile.id;
  const columns = useMemo(
    (): Column<User>[] => [
      {
        id: "name",
        header: "Name",
        cell: (user) => (
          <>
            <Name>{user.name || user.login}</Name>
            <span className={ui.dim}>
              <Address>{user.email || user.login}</Address>
            </span>
          </>
        ),
      },
      { id: "login", header: "Login", isWideOnly: true, cell: (user) => <Name>{user.login}</Name> },
      {
        id: "state",
        header: "State",
        cell: (user) => (
          <Group gap={4}>
            {user.isAdmin && (
              <Badge variant="light" tt="none" miw="max-content">
                server admin
              </Badge>
            )}
            {user.isDisabled && (
              <Badge color="gray" variant="light" tt="none" miw="max-content">
                disabled
              </Badge>
            )}
            {!user.isAdmin && !user.isDisabled && <span className={ui.dim}>active</span>}
          </Group>
        ),
      },
      { id: "seen", header: "Last seen", isWideOnly: true, cell: (user) => <When time={user.lastSeenAt} /> },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (user) => <UserMenu user={user} isSelf={user.id === ownId} act={act} onDialog={setDialog} />,
      },
    ],
    [act, ownId],
  );
  const close = () => setDialog(undefined);
  return (
    <Page
      title="Users"
      description={found.data === undefined ? " " : `${total.toLocaleString("en")} accounts on this server`}
      actions={
        <Button leftSection={<PlusIcon size={15} />} onClick={() => setDialog({ kind: "create" })}>
          New user
        </Button>
      }
    >
      <TextInput
        leftSection={<SearchIcon size={16} />}
        placeholder="Search by name, login or e-mail"
        aria-label="Search users"
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value);
          setPage(1);
        }}
      />
      {found.isError ? (
        <ProblemBox error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <Card isFlush>
          <DataTable
            label="Users"
            columns={columns}
            rows={found.data?.users}
            rowId={(user) => String(user.id)}
            empty={<Empty title="No matching users">Search for another part of the name, or create a user.</Empty>}
          />
        </Card>
      )}
      {total > PAGE && (
        <Pagination
          total={Math.ceil(total / PAGE)}
          value={page}
          onChange={setPage}
          getControlProps={(control) => ({ "aria-label": `${control} page` })}
          size="sm"
        />
      )}
      {dialog?.kind === "create" && (
        <CreateUserDialog
          onClose={close}
          onDone={() => {
            close();
            void queries.invalidateQueries();
          }}
        />
      )}
      {dialog?.kind === "password" && <SetPasswordDialog user={dialog.user} onClose={close} />}
      {dialog?.kind === "sessions" && <UserSessionsDialog user={dialog.user} onClose={close} />}
    </Page>
  );
}

interface UserMenuProps {
  user: User;
  isSelf: boolean;
  act: (work: () => Promise<unknown>, done: string) => Promise<void>;
  onDialog: (dialog: Dialog) => void;
}

function UserMenu({ user, isSelf, act, onDialog }: UserMenuProps) {
  const params = { path: { user_id: user.id } };
  const short = user.login.slice(0, 60);
  async function toggleAdmin() {
    const isGrafanaAdmin = !user.isAdmin;
    const isSure = await confirm({
      title: isGrafanaAdmin ? "Make a server admin?" : "Take the server admin right?",
      body: isGrafanaAdmin ? (
        <>
          <bdi>{user.login}</bdi> will be able to do everything in every organization.
        </>
      ) : (
        <>
          <bdi>{user.login}</bdi> keeps the roles in organizations and loses everything else.
        </>
      ),
      action: isGrafanaAdmin ? "Make server admin" : "Take the right",
    });
    if (!isSure) return;
    await act(
      () => of(client.PUT("/api/admin/users/{user_id}/permissions", { params, body: { isGrafanaAdmin } })),
      isGrafanaAdmin ? `${short} is a server admin` : `${short} is no server admin any more`,
    );
  }
  async function setDisabled() {
    if (user.isDisabled) {
      await act(() => of(client.POST("/api/admin/users/{user_id}/enable", { params })), `${short} can log in again`);
      return;
    }
    const isSure = await confirm({
      title: "Disable this user?",
      body: (
        <>
          <bdi>{user.login}</bdi> is logged out everywhere and cannot log in until somebody enables the account again.
        </>
      ),
      action: "Disable",
    });
    if (isSure) await act(() => of(client.POST("/api/admin/users/{user_id}/disable", { params })), `${short} disabled`);
  }
  async function remove() {
    const isSure = await confirm({
      title: "Delete this user?",
      body: (
        <>
          The account <bdi>{user.login}</bdi> leaves all organizations and cannot be restored. What it did stays in the
          audit logs. To keep it, disable it instead.
        </>
      ),
      action: "Delete user",
      typed: user.login,
    });
    if (isSure) await act(() => of(client.DELETE("/api/admin/users/{user_id}", { params })), `${short} deleted`);
  }
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`What can be done with ${short}`}>
          <DotsIcon size={16} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onDialog({ kind: "password", user })}>Set password…</Menu.Item>
        <Menu.Item onClick={() => onDialog({ kind: "sessions", user })}>Sessions…</Menu.Item>
        {!isSelf && (
          <>
            <Menu.Item onClick={() => void toggleAdmin()}>
              {user.isAdmin ? "Take server admin right…" : "Make server admin…"}
            </Menu.Item>
            <Menu.Divider />
            <Menu.Item onClick={() => void setDisabled()}>{user.isDisabled ? "Enable" : "Disable…"}</Menu.Item>
            <Menu.Item c="red" onClick={() => void remove()}>
              Delete…
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

function CreateUserDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState("");
  const [login, setLogin] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  async function create() {
    await of(client.POST("/api/admin/users", { body: { name, login, email, password } }));
    tellDone(`User ${(login || email).slice(0, 60)} created`);
    onDone();
  }
  return (
    <FormDialog title="New user" action="Create user" onClose={onClose} onSubmit={create}>
      <TextInput label="Name" value={name} onChange={(event) => setName(event.currentTarget.value)} data-autofocus />
      <TextInput
        label="Login"
        required
        withAsterisk={false}
        value={login}
        onChange={(event) => setLogin(event.currentTarget.value)}
      />
      <TextInput label="E-mail" value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
      <PasswordInput
        label="Password"
        required
        withAsterisk={false}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
    </FormDialog>
  );
}

function SetPasswordDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const [password, setPassword] = useState("");
  const params = { path: { user_id: user.id } };
  async function save() {
    await of(client.PUT("/api/admin/users/{user_id}/password", { params, body: { password } }));
    tellDone(`Password of ${user.login.slice(0, 60)} set`);
    onClose();
  }
  return (
    <FormDialog title="Set password" action="Set password" onClose={onClose} onSubmit={save}>
      <PasswordInput
        label={
          <>
            New password of <bdi>{user.login}</bdi>
          </>
        }
        required
        withAsterisk={false}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        data-autofocus
      />
    </FormDialog>
  );
}

function UserSessionsDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const params = { path: { user_id: user.id } };
  const sessions = useQuery({
    queryKey: ["sessions", user.id],
    queryFn: () => of(client.GET("/api/admin/users/{user_id}/auth-tokens", { params })),
  });
  async function act(work: () => Promise<unknown>, done: string) {
    try {
      await work();
      tellDone(done);
    } catch (error) {
      tellProblem(error);
    }
    await sessions.refetch();
  }
  const revoke = (session: Session) =>
    act(
      () =>
        of(client.POST("/api/admin/users/{user_id}/revoke-auth-token", { params, body: { authTokenId: session.id } })),
      "Session ended",
    );
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={
        <>
          Sessions of <bdi>{user.login.slice(0, 80)}</bdi>
        </>
      }
    >
      {sessions.isError ? (
        <ProblemBox error={sessions.error} />
      ) : (
        <SessionTable sessions={sessions.data} onRevoke={(session) => void revoke(session)} />
      )}
      <Group justify="flex-end" gap="xs" mt="md">
        <Button
          color="red"
          disabled={(sessions.data ?? []).length === 0}
          onClick={() =>
            void act(() => of(client.POST("/api/admin/users/{user_id}/logout", { params })), "Logged out everywhere")
          }
        >
          End all
        </Button>
      </Group>
    </Modal>
  );
}
