import { Badge, Button, NativeSelect, Pagination, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import { type OrgRole, useMe } from "../session/session";
import { askIfChanged } from "../ui/askIfChanged";
import { confirm } from "../ui/confirm";
import { type Column, DataTable } from "../ui/DataTable";
import { FormDialog } from "../ui/FormDialog";
import { PlusIcon } from "../ui/icons";
import { Address, Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import { SearchBox } from "../ui/SearchBox";
import ui from "../ui/ui.module.css";
import { useSearchText } from "../ui/useSearchText";
import { When } from "../ui/When";

type Member = components["schemas"]["MemberBody"];

const ROLES: OrgRole[] = ["Admin", "Editor", "Viewer", "None"];
const PAGE = 50;

/** What the address bar says about the page of people. */
export interface PeopleSearch {
  query?: string;
  page?: number;
}

/** The role that a member has at the moment; nothing if there is no such member any more, which the server will say. */
async function readRole({ login, userId }: Member): Promise<OrgRole | undefined> {
  const parameters = { query: login, perpage: PAGE };
  const { orgUsers } = await of(client.GET("/api/org/users/search", { params: { query: parameters } }));
  return orgUsers.find((member) => member.userId === userId)?.role;
}

/** The members of the org. */
export function PeoplePage() {
  const { query = "", page = 1 } = useSearch({ from: "/shell/people" });
  const navigate = useNavigate({ from: "/people" });
  const queries = useQueryClient();
  const me = useMe();
  const { text: wanted, ...box } = useSearchText(query, (text) => {
    void navigate({ search: { query: text || undefined }, replace: true, resetScroll: false });
  });
  const [isAdding, adding] = useDisclosure(false);
  // The page in the address is one of what was searched for before, until the address has followed.
  const shownPage = wanted === query ? page : 1;
  const found = useQuery({
    queryKey: ["members", wanted, shownPage],
    queryFn: ({ signal }) => {
      const parameters = { query: wanted, page: shownPage, perpage: PAGE };
      return of(client.GET("/api/org/users/search", { params: { query: parameters }, signal }));
    },
    placeholderData: keepPreviousData,
  });
  const total = found.data?.totalCount ?? 0;
  const ownId = me.profile.id;

  const columns = useMemo((): Column<Member>[] => {
    async function setRole(member: Member, role: OrgRole) {
      const params = { path: { user_id: member.userId } };
      const send = (to: OrgRole) => of(client.PATCH("/api/org/users/{user_id}", { params, body: { role: to } }));
      try {
        const now = await readRole(member);
        if (!(await askIfChanged([{ what: "Role", shown: member.role, now: now ?? member.role }]))) {
          await queries.invalidateQueries();
          return;
        }
        await send(role);
        tellDone(`${member.login.slice(0, 60)} is now ${role}`, () => {
          send(now ?? member.role)
            .then(() => queries.invalidateQueries())
            .catch(tellProblem);
        });
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries();
    }
    async function remove(member: Member) {
      const isSure = await confirm({
        title: "Remove from the organization?",
        body: (
          <>
            <bdi>{member.login}</bdi> loses all access to this organization and leaves its teams. The account stays; it
            can be added again.
          </>
        ),
        action: "Remove",
      });
      if (!isSure) return;
      try {
        await of(client.DELETE("/api/org/users/{user_id}", { params: { path: { user_id: member.userId } } }));
        tellDone(`${member.login.slice(0, 60)} removed`);
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries();
    }
    return [
      {
        id: "name",
        header: "Name",
        cell: (member) => (
          <>
            <Name>{member.name || member.login}</Name>
            <span className={ui.dim}>
              <Address>{member.email || member.login}</Address>
            </span>
          </>
        ),
      },
      { id: "login", header: "Login", isWideOnly: true, cell: (member) => <Name>{member.login}</Name> },
      {
        id: "role",
        header: "Role",
        cell: (member) => (
          <NativeSelect
            size="xs"
            w={96}
            aria-label={`Role of ${member.login.slice(0, 60)}`}
            data={ROLES}
            value={member.role}
            onChange={(event) => void setRole(member, event.currentTarget.value as OrgRole)}
          />
        ),
      },
      {
        id: "seen",
        header: "Last seen",
        isWideOnly: true,
        cell: (member) =>
          member.isDisabled ? (
            <Badge color="gray" variant="light" tt="none" miw="max-content">
              disabled
            </Badge>
          ) : (
            <When time={member.lastSeenAt} />
          ),
      },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (member) => (
          <Button
            size="compact-sm"
            variant="subtle"
            color="red"
            aria-label={`${member.userId === ownId ? "Leave" : "Remove"}… ${member.login.slice(0, 60)}`}
            onClick={() => void remove(member)}
          >
            {member.userId === ownId ? "Leave…" : "Remove…"}
          </Button>
        ),
      },
    ];
  }, [queries, ownId]);

  return (
    <Page
      title="People"
      description={
        found.data === undefined
          ? " "
          : `${total.toLocaleString("en")} ${total === 1 ? "member" : "members"}${wanted === "" ? "" : " match"}`
      }
      actions={
        <Button leftSection={<PlusIcon size={15} />} onClick={adding.open}>
          Add member
        </Button>
      }
    >
      <SearchBox label="Search members" placeholder="Search by name, login or e-mail" text={wanted} {...box} />
      {found.isError ? (
        <ProblemBox error={found.error} onRetry={() => void found.refetch()} />
      ) : (
        <Card isFlush>
          <DataTable
            label="Members"
            columns={columns}
            rows={found.data?.orgUsers}
            rowId={(member) => String(member.userId)}
            empty={
              <Empty title="No matching users" action={<Button onClick={adding.open}>Add member</Button>}>
                Members can be found by their name, login or e-mail. Who is not a member yet can be added.
              </Empty>
            }
          />
        </Card>
      )}
      {total > PAGE && (
        <Pagination
          total={Math.ceil(total / PAGE)}
          value={shownPage}
          onChange={(value) => void navigate({ search: (old) => ({ ...old, page: value }) })}
          getControlProps={(control) => ({ "aria-label": `${control} page` })}
          size="sm"
        />
      )}
      {isAdding && (
        <AddMemberDialog
          onClose={adding.close}
          onDone={() => {
            adding.close();
            void queries.invalidateQueries();
          }}
        />
      )}
    </Page>
  );
}

function AddMemberDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [loginOrEmail, setLogin] = useState("");
  const [role, setRole] = useState<OrgRole>("Viewer");
  async function add() {
    await of(client.POST("/api/org/users", { body: { loginOrEmail: loginOrEmail.trim(), role } }));
    tellDone(`${loginOrEmail.slice(0, 60)} added`);
    onDone();
  }
  return (
    <FormDialog title="Add member" action="Add member" onClose={onClose} onSubmit={add}>
      <TextInput
        label="Login or e-mail"
        description="Of an existing user of this server"
        required
        withAsterisk={false}
        value={loginOrEmail}
        onChange={(event) => setLogin(event.currentTarget.value)}
        data-autofocus
      />
      <NativeSelect
        label="Role"
        data={ROLES}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value as OrgRole)}
      />
    </FormDialog>
  );
}
